"""Exported networks as a swap calls them: one sample at a time, one file per size, detections above a logit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliableswap.errors import WeightsError
from reliableswap.models.layer_maps import CHANNELS
from reliableswap.pipelines.exported import ExportedPipeline
from reliableswap.runtime.exported import ExportedFolder
from reliableswap.runtime.exported_networks import FileGenerator, FileNetwork


class Folder(dict[str, Callable[..., list[np.ndarray]]]):
    """An ExportedFolder whose files are functions."""

    folder, form = "made_here", "onnx"

    def __init__(self, files: dict[str, Any], about: dict[str, Any], pipeline: Any = None) -> None:
        super().__init__(files)
        self.pipeline = pipeline or {}
        self.about = {name: {"config": {}, "inputs": {}} | about for name in files}


@pytest.mark.parametrize("content", ['{"files": {', "{}", "[]"])
def test_a_damaged_list_of_exported_files_is_reported(content: str, tmp_path: Path) -> None:
    (tmp_path / "exported.json").write_text(content)
    with pytest.raises(WeightsError, match=r"exported\.json in .* is damaged"):
        ExportedFolder(tmp_path)


def test_samples_run_one_by_one() -> None:
    sizes = []

    def mesh(crops: np.ndarray) -> list[np.ndarray]:
        sizes.append(len(crops))
        return [crops.mean((2, 3)), crops.max((1, 2, 3))]

    network: Any = FileNetwork(Folder({"landmarks": mesh}, {"config": {"size": 128}}), "landmarks")  # type: ignore[arg-type]
    crops = np.random.default_rng(0).random((3, 3, 8, 8), np.float32)
    mean, highest = network(crops)
    np.testing.assert_array_equal(mean, crops.mean((2, 3)))
    np.testing.assert_array_equal(highest, crops.max((1, 2, 3)))
    assert sizes == [1, 1, 1]
    assert network.config["size"] == 128
    assert network.checksum() == ""


def test_a_detector_gives_what_is_above_a_logit() -> None:
    answers = np.arange(30, dtype=np.float32).reshape(1, 2, 15)
    detector = FileNetwork(Folder({"detector": lambda _: [answers]}, {}), "detector")  # type: ignore[arg-type]
    assert detector.above(np.zeros((1, 3, 32, 32), np.float32), 5.0).tolist() == answers[0, 1:].tolist()


def test_a_generator_without_layers_has_a_file_for_each_size() -> None:
    def file(size: int) -> Callable[..., list[np.ndarray]]:
        return lambda target, identity: [target + size, np.ones((1, 1, size, size))]

    folder = Folder({f"generator_{size}": file(size) for size in (256, 128)}, {})
    for name, about in folder.about.items():
        size = int(name.rpartition("_")[2])
        about["inputs"] = {"target": [1, 3, size, size], "identity": [1, 16]}
    generator = FileGenerator(folder)  # type: ignore[arg-type]
    assert (list(generator.sizes), generator.guidance_channels) == ([128, 256], 0)
    image, _ = generator(np.zeros((1, 3, 256, 256), np.float32), np.zeros((1, 16), np.float32), None)
    assert image.shape == (1, 3, 256, 256)
    assert (image == 256).all()


def test_a_layered_generator_answers_with_maps() -> None:
    def maps(target: np.ndarray, identity: np.ndarray, guidance: np.ndarray) -> list[np.ndarray]:
        return [target + 1, np.repeat(guidance[:, :1], CHANNELS, 1), identity.sum() + target[:, :1]]

    about = {
        "config": {"lean": 0.0},
        "inputs": {"target": [1, 3, 512, 512], "identity": [1, 16], "guidance": [1, 4, 512, 512]},
    }
    folder = Folder({"generator_512": None, "generator_maps": maps}, about)
    generator = FileGenerator(folder)  # type: ignore[arg-type]
    assert (list(generator.sizes), generator.guidance_channels) == ([512], 4)
    rng = np.random.default_rng(0)
    target, guidance = (rng.uniform(-1, 1, (2, n, 128, 128)).astype(np.float32) for n in (3, 4))
    drawn, answer, logits = generator.maps(target, np.ones((2, 16), np.float32), guidance)
    np.testing.assert_array_equal(drawn, target + 1)
    np.testing.assert_array_equal(answer[:, -1], guidance[:, 0])
    np.testing.assert_array_equal(logits, target[:, :1] + 16)


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (None, "does not hold a complete pipeline"),
        ({"left_out": ["generator"], "networks": {}, "probe": []}, "lacks generator"),
    ],
)
def test_folders_without_a_complete_pipeline_are_an_error(pipeline: Any, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        ExportedPipeline(Folder({}, {}, pipeline))  # type: ignore[arg-type]
