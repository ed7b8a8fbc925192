"""InsightFaceAnalyser on a pack made here: one ONNX detector with a fixed answer."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from support import onnx_files

from reliableswap.errors import WeightsError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.insightface import InsightFaceAnalyser
from reliableswap.faces.detect import SearchSettings
from reliableswap.models.landmarks import MeshNet

SIDE = 640


def scrfd_like(path: Path, box: tuple[float, ...], points: np.ndarray) -> None:
    """Write an ONNX file with SCRFD's nine outputs at 640x640 that finds the same one face in any picture."""
    constants = {}
    for kind, width in (("score", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            cells = SIDE // stride
            value = np.zeros((cells * cells * 2, width), np.float32)
            if stride == 16:
                column, row = round((box[0] + box[2]) / 2 / stride), round((box[1] + box[3]) / 2 / stride)
                centre = np.array([column * stride, row * stride], np.float32)
                cell = (row * cells + column) * 2
                if kind == "score":
                    value[cell] = 0.9
                elif kind == "bbox":
                    value[cell] = np.concatenate([centre - box[:2], np.array(box[2:]) - centre]) / stride
                else:
                    value[cell] = ((points - centre) / stride).ravel()
            constants[f"{kind}_{stride}_value"] = value
    names = {name.removesuffix("_value"): name for name in constants}
    onnx_files.save(
        path,
        [("Identity", [value], [name], {}) for name, value in names.items()],
        {"input.1": (1, 3, "?", "?")},
        {name: constants[value].shape for name, value in names.items()},
        constants,
    )


BOX = (200.0, 160.0, 360.0, 380.0)
POINTS = np.array([[240, 250], [320, 250], [280, 290], [250, 330], [310, 330]], np.float32)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "made_here"
    folder.mkdir(parents=True)
    scrfd_like(folder / "det_10g.onnx", BOX, POINTS)
    return folder


@pytest.fixture(scope="module")
def landmarks() -> MeshNet:
    return MeshNet().eval()


def test_a_local_pack_gives_our_kind_of_faces(pack: Path, landmarks: MeshNet) -> None:
    analyser = InsightFaceAnalyser(pack, landmarks=landmarks)
    assert isinstance(analyser, FaceAnalyser)
    (face,) = analyser(np.zeros((640, 640, 3), np.uint8))
    assert np.allclose(face.box, BOX, atol=0.5)
    assert np.allclose(face.points5, POINTS, atol=0.5)
    assert face.score == pytest.approx(0.9)
    assert face.mesh.shape == (468, 3)


def test_a_pack_is_found_by_its_name(pack: Path, landmarks: MeshNet) -> None:
    analyser = InsightFaceAnalyser("made_here", root=pack.parent.parent, landmarks=landmarks)
    assert len(analyser(np.zeros((640, 640, 3), np.uint8))) == 1


def test_the_licence_is_logged_as_a_warning(
    pack: Path, landmarks: MeshNet, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "reliableswap"):
        InsightFaceAnalyser(pack, landmarks=landmarks)
    assert "non-commercial research only" in caplog.text


def test_answers_are_in_photo_pixels(pack: Path, landmarks: MeshNet) -> None:
    analyser = InsightFaceAnalyser(pack, landmarks=landmarks)
    (face,) = analyser(np.zeros((1280, 1280, 3), np.uint8))
    assert np.allclose(face.box, np.array(BOX) * 2, atol=1)


def test_faces_below_the_smallest_size_are_left_out(pack: Path, landmarks: MeshNet) -> None:
    picky = InsightFaceAnalyser(pack, landmarks=landmarks, settings=SearchSettings(min_size=500))
    assert picky(np.zeros((1280, 1280, 3), np.uint8)) == []


def test_a_missing_pack_offline_is_one_error_that_names_the_folder(
    tmp_path: Path, landmarks: MeshNet
) -> None:
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE") as error:
        InsightFaceAnalyser("nowhere", root=tmp_path, landmarks=landmarks)
    assert str(tmp_path / "models" / "nowhere") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_failing_download_names_the_folder_too(
    tmp_path: Path, landmarks: MeshNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise OSError("no network")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("insightface.app.FaceAnalysis", fails)
    with pytest.raises(WeightsError, match="downloading 'nowhere' failed"):
        InsightFaceAnalyser("nowhere", root=tmp_path, landmarks=landmarks)


def test_a_folder_without_a_detector_is_reported(tmp_path: Path, landmarks: MeshNet) -> None:
    with pytest.raises(WeightsError, match=r"no \.onnx file"):
        InsightFaceAnalyser(tmp_path, landmarks=landmarks)
