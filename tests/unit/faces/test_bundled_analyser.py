"""BundledAnalyser on networks whose answers the tests set."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.people import portrait

from reliableswap.faces.analysers.base import FaceAnalyser, largest_face
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Detection, Face
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.torch_arrays import TorchArrayNetwork

IMAGE = np.zeros((96, 96, 3), np.uint8)


@pytest.fixture
def analyser() -> BundledAnalyser:
    """An analyser whose networks are sure of a face in every cell of the detector's middle level."""
    analyser = BundledAnalyser(FaceDetector().eval(), MeshNet().eval())
    with torch.no_grad():
        analyser.detector.heads[1].bias[0] = 3.0
        analyser.landmarks.presence.bias.fill_(9.0)
    return analyser


def test_every_face_is_confirmed_and_has_a_mesh(analyser: BundledAnalyser) -> None:
    assert isinstance(analyser, FaceAnalyser)
    faces = analyser(IMAGE)
    assert faces
    assert all(face.confirmed and face.mesh.shape == (468, 3) for face in faces)


def test_detections_that_the_mesh_network_doubts_are_dropped(analyser: BundledAnalyser) -> None:
    with torch.no_grad():
        analyser.landmarks.presence.bias.fill_(-9.0)
    assert analyser(IMAGE) == []


@pytest.mark.parametrize("change", ["in place", "replaced"])
def test_new_weights_of_the_detector_are_used_at_once(analyser: BundledAnalyser, change: str) -> None:
    assert analyser(IMAGE)
    if change == "replaced":
        analyser.detector = FaceDetector().eval()
    else:
        with torch.no_grad():
            analyser.detector.heads[1].bias[0] = -9.0
    assert analyser(IMAGE) == []


def test_networks_of_other_runtimes_are_called_directly(analyser: BundledAnalyser) -> None:
    class Counted:
        """Stand-in for a network compiled by another runtime."""

        def __init__(self, network: MeshNet) -> None:
            self.network, self.calls, self.config = TorchArrayNetwork(network), 0, network.config

        def __call__(self, *crops: Any) -> tuple[np.ndarray, ...]:
            self.calls += 1
            return self.network(*crops)

    counted = Counted(analyser.landmarks)
    analyser.landmarks = counted  # type: ignore[assignment]
    assert analyser(IMAGE)
    assert counted.calls == 2


def test_next_to_a_confident_face_a_doubtful_one_needs_a_high_presence(
    analyser: BundledAnalyser, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.array([[30, 30], [60, 30], [45, 45], [35, 60], [55, 60]], np.float32)
    box = np.array([20, 10, 70, 75], np.float32)
    scores = [0.98, 0.7]
    monkeypatch.setattr(
        "reliableswap.faces.analysers.bundled.find_faces",
        lambda *_: [Detection(box, points, score) for score in scores],
    )
    assert [face.score for face in analyser(IMAGE)] == [0.98, 0.7]
    with torch.no_grad():
        analyser.landmarks.presence.bias.fill_(1.0)  # a probability of about 0.7
    assert [face.score for face in analyser(IMAGE)] == [0.98]
    scores[0] = 0.8
    assert len(analyser(IMAGE)) == 2


@pytest.mark.parametrize("turn", [0, 20])
def test_the_box_is_used_if_a_detections_points_are_wrong(turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = portrait(1, 400)
    matrix = cv2.getRotationMatrix2D((200, 200), -turn, 1.0)
    image = cv2.warpAffine(image, matrix, (400, 400), borderMode=cv2.BORDER_REPLICATE)
    bundled = BundledAnalyser()
    (face,) = bundled(image)
    eye = face.points5[0] + 0.15 * (face.points5 - face.points5.mean(0))  # as if the eye were the face
    monkeypatch.setattr(
        "reliableswap.faces.analysers.bundled.find_faces", lambda *_: [Detection(face.box, eye, 0.7)]
    )
    (found,) = bundled(image)
    assert found.presence is not None
    assert found.presence > 0.95
    assert np.abs(found.mesh - face.mesh).max() < 0.05 * face.size


@pytest.mark.parametrize(("picture", "quick"), [("studio_portrait", True), ("emotions_sheet", False)])
def test_the_largest_face_is_the_first_of_all(
    picture: str, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled, image = BundledAnalyser(), portrait(1, 900, picture)
    first, *_ = bundled(image)
    if quick:
        monkeypatch.setattr("reliableswap.faces.analysers.bundled.find_faces", None)
    found = largest_face(bundled, image)
    assert found is not None
    assert np.abs(found.mesh - first.mesh).max() < 0.02 * first.size


def test_an_analyser_without_a_quick_search_is_asked_for_all_faces() -> None:
    class Plain:
        name = "plain"

        def __call__(self, image: np.ndarray) -> list[Face]:
            return (
                [] if image[0, 0, 0] else [Face.from_mesh(np.ones((468, 3), np.float32) * n) for n in (1, 2)]
            )

    assert largest_face(Plain(), np.ones((9, 9, 3), np.uint8)) is None
    found = largest_face(Plain(), np.zeros((9, 9, 3), np.uint8))
    assert found is not None
    assert found.mesh[0, 0] == 1
