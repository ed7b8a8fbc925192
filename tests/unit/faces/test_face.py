"""Detections and faces move and scale with their picture."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.faces.face import MIN_PRESENCE, Detection, Face, eye_distance, five_points


@pytest.fixture
def face(rng: np.random.Generator) -> Face:
    return Face.from_mesh(rng.uniform(0, 100, (468, 3)).astype(np.float32), score=0.9, presence=0.8)


def test_a_face_of_a_mesh_has_its_box_and_points(face: Face) -> None:
    assert np.array_equal(face.box[:2], face.mesh[:, :2].min(0))
    assert np.array_equal(face.box[2:], face.mesh[:, :2].max(0))
    assert np.array_equal(face.points5[2], face.mesh[4, :2])
    assert face.points5[0] == pytest.approx((face.mesh[33, :2] + face.mesh[133, :2]) / 2)


def test_a_shifted_face_moves_whole(face: Face) -> None:
    moved = face.shifted(10, -5)
    assert moved.box - face.box == pytest.approx([10, -5, 10, -5], abs=1e-4)
    assert moved.mesh - face.mesh == pytest.approx(np.tile((10, -5, 0), (468, 1)), abs=1e-4)
    assert moved.points5 == pytest.approx(five_points(moved.mesh), abs=1e-4)
    assert (moved.score, moved.presence) == (0.9, 0.8)


def test_a_scaled_face_keeps_the_edges_of_pixels_in_place(face: Face) -> None:
    large = face.scaled(2.0)
    assert large.box + 0.5 == pytest.approx((face.box + 0.5) * 2)
    assert large.mesh[:, :2] + 0.5 == pytest.approx((face.mesh[:, :2] + 0.5) * 2)
    assert large.mesh[:, 2] == pytest.approx(face.mesh[:, 2] * 2)
    assert large.points5 == pytest.approx(five_points(large.mesh), abs=1e-4)


def test_a_detection_moves_and_scales_without_a_mesh(face: Face) -> None:
    detection = Detection(face.box, face.points5, face.score)
    for seen, wanted in (
        (detection.shifted(3, 4), face.shifted(3, 4)),
        (detection.scaled(3), face.scaled(3)),
    ):
        assert type(seen) is Detection
        assert np.array_equal(seen.box, wanted.box)
        assert np.array_equal(seen.points5, wanted.points5)


@pytest.mark.parametrize(
    ("presence", "confirmed"), [(None, True), (MIN_PRESENCE, True), (MIN_PRESENCE - 0.01, False)]
)
def test_a_face_is_confirmed_unless_the_mesh_network_doubts_it(
    face: Face, presence: float | None, confirmed: bool
) -> None:
    assert Face.from_mesh(face.mesh, presence=presence).confirmed is confirmed


def test_roll_is_positive_clockwise() -> None:
    points = np.array([[10, 10], [20, 20], [15, 20], [8, 25], [14, 31]], np.float32)
    assert Detection(np.zeros(4), points, 1.0).roll == pytest.approx(45)


def test_the_eye_distance_is_three_dimensional() -> None:
    mesh = np.zeros((468, 3), np.float32)
    mesh[263] = (3, 0, 4)
    assert eye_distance(mesh) == 5
