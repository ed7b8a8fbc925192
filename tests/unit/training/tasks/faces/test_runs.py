"""Short trainings of detector and landmarks by the command, and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.face_labels import arguments

from reliableswap.cli.main import main
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet


@pytest.mark.parametrize(("kind", "network"), [("detector", FaceDetector), ("landmarks", MeshNet)])
def test_two_steps_from_nothing_give_a_folder_that_loads(
    kind: str, network: type, photos: Path, tmp_path: Path
) -> None:
    more = ("--canvas", "96") if kind == "detector" else ()
    assert main(arguments(kind, photos, tmp_path, "--max_train_steps", "2", *more)) == 0
    loaded = network.from_pretrained(tmp_path)
    assert all(torch.isfinite(p).all() for p in loaded.parameters())
    figures = json.loads((tmp_path / "figures.jsonl").read_text().splitlines()[-1])
    assert figures["step"] == 2


def test_landmarks_go_on_from_another_network(photos: Path, tmp_path: Path) -> None:
    first = ("--max_train_steps", "1", "--learning_rate", "1e-9", "--no-use-ema")
    assert main(arguments("landmarks", photos, tmp_path / "a", *first)) == 0
    more = (*first, "--initial", str(tmp_path / "a"))
    assert main(arguments("landmarks", photos, tmp_path / "b", *more)) == 0
    one, other = (MeshNet.from_pretrained(tmp_path / name).shape_model.weight for name in "ab")
    assert torch.allclose(one, other, atol=1e-6)
    figures = json.loads((tmp_path / "b" / "figures.jsonl").read_text().splitlines()[-1])
    assert figures["lips_apart"] > 0
    assert figures["lids_apart"] > 0


def test_a_missing_teacher_and_an_empty_folder_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(arguments("detector", tmp_path / "empty", tmp_path)) == 2
    assert "no pictures in" in capsys.readouterr().err
    lonely = arguments("detector", photos, tmp_path)
    lonely[lonely.index("--labels") + 1] = str(tmp_path / "none.npz")
    assert main(lonely) == 2
    assert "yunet_n_dynamic.onnx" in capsys.readouterr().err
