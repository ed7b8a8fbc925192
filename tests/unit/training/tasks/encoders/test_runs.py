"""Short trainings of both encoders by the command, and its errors."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from reliableswap.cli.main import main
from reliableswap.data.crops import Crops
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder


def command(kind: str, photos: Path, crops: Crops, teacher: Path, output: Path, *more: str) -> list[str]:
    return [
        *("train", kind, "--faces", str(photos), "--crops", str(crops.folder), "--teacher", str(teacher)),
        *("--output_dir", str(output), "--train_batch_size", "4", "--max_train_steps", "2"),
        *("--dataloader_num_workers", "0", "--logging_steps", "1", "--mixed_precision", "no"),
        *("--validation_pairs", "8", *more),
    ]


@pytest.mark.slow
def test_identity_from_nothing_to_a_folder_that_loads(
    photos: Path, crops: Crops, teacher: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    more = ("--initial", str(teacher), "--name", "ours")
    assert main(command("identity", photos, crops, teacher, tmp_path / "out", *more)) == 0
    network = IdentityEncoder.from_pretrained(tmp_path / "out")
    start = IdentityEncoder.from_pretrained(teacher).state_dict()
    means = [name for name in start if name.endswith("running_mean")]
    assert means, "a body with batch norms"
    assert all(not torch.equal(start[name], network.state_dict()[name]) for name in means)
    assert network.label == "ours"
    assert network.checksum() != IdentityEncoder.from_pretrained(teacher).checksum()
    said = caplog.text
    assert "10 of 11 photos show a face" in said
    assert "held out: 4 photos of 2 people" in said
    for figure in ("accuracy ", "accuracy_worse", "cosine ", "teacher_accuracy "):
        assert figure in said


@pytest.mark.slow
def test_fixer_from_nothing_to_a_folder_that_loads(
    photos: Path, crops: Crops, teacher: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    more = ("--embedding_size", "16")
    for name in ("out", "again"):
        torch.manual_seed(len(name))  # what was drawn before says nothing
        assert main(command("fixer", photos, crops, teacher, tmp_path / name, *more)) == 0
    network, again = (FixerNet.from_pretrained(tmp_path / name) for name in ("out", "again"))
    assert network.embedding_size == 16
    assert network.checksum() == again.checksum()
    assert "teacher_accuracy_window" in caplog.text


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("identity", ("--teacher", "nowhere.onnx"), "no identity encoder at nowhere.onnx"),
        ("identity", ("--teacher_mean", "0.5"), "three comma-separated numbers"),
        ("fixer", ("--embedding_size", "32"), "--embedding_size 16"),
        ("fixer", ("--margin_weight", "0", "--distil_weight", "0"), "there is no other loss"),
    ],
)
def test_impossible_settings_are_one_line(
    photos: Path,
    crops: Crops,
    teacher: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    more: tuple[str, ...],
    words: str,
) -> None:
    assert main(command(kind, photos, crops, teacher, tmp_path / "out", *more)) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
