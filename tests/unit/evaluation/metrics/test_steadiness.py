"""Flicker of moving faces, and detection of unswapped faces, on pictures with known results."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.evaluation_people import mesh_of

from reliableswap.evaluation.metrics import pixels
from reliableswap.evaluation.metrics.steadiness import flicker, is_unswapped, warp_face

SIZE = 220
STEP = 7.0  # pixels that the face moves from frame to frame


def face_at(frame: int) -> np.ndarray:
    """(468,3) a mesh of 120 px that drifts and turns."""
    mesh = mesh_of()
    mesh = (mesh - mesh.mean(0)) * (120 / np.ptp(mesh[:, 1]))
    c, s = np.cos(0.05 * frame), np.sin(0.05 * frame)
    turned = mesh @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    return (turned + np.array([95 + STEP * frame, 110, 0])).astype(np.float32)


def painted(texture: np.ndarray, frame: int, brighter: float = 0.0) -> np.ndarray:
    """(SIZE,SIZE,3) uint8 a texture that sticks to the face, on grey."""
    lit = np.clip(texture.astype(np.float32) + brighter, 0, 255).astype(np.uint8)
    shown = warp_face(lit, face_at(0), face_at(frame))
    inside = pixels.face_region(face_at(frame), (SIZE, SIZE), 0.0)
    return np.where(inside[..., None], shown, 120).astype(np.uint8)


@pytest.fixture(scope="module")
def textures() -> tuple[np.ndarray, np.ndarray]:
    """Two faces: random textures of the same size."""
    rng = np.random.default_rng(0)
    made = rng.integers(40, 215, (2, 24, 24, 3)).astype(np.uint8)
    one, other = (cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for picture in made)
    return one, other


@pytest.fixture(scope="module")
def meshes() -> np.ndarray:
    return np.stack([face_at(frame) for frame in range(3)])


def test_motion_is_no_flicker(textures: tuple[np.ndarray, np.ndarray], meshes: np.ndarray) -> None:
    own, swapped = (np.stack([painted(texture, frame) for frame in range(3)]) for texture in textures)
    assert abs(flicker(swapped, own, meshes)) < 1.5
    # Compared pixel by pixel, without motion compensation, the moving face changes far more.
    region = pixels.face_region(meshes[1], (SIZE, SIZE), 0.0)
    assert pixels.flicker(swapped, np.full_like(own, 120), region) > 10


@pytest.mark.parametrize("strength", [4, 12])
def test_flicker_is_measured_in_grey_levels(
    textures: tuple[np.ndarray, np.ndarray], meshes: np.ndarray, strength: int
) -> None:
    own, steady = (np.stack([painted(texture, frame) for frame in range(3)]) for texture in textures)
    flickering = np.stack([painted(textures[1], frame, strength * (frame == 1)) for frame in range(3)])
    added = flicker(flickering, own, meshes) - flicker(steady, own, meshes)
    assert added == pytest.approx(strength, abs=1.2)


def test_changes_of_the_target_are_no_flicker(
    textures: tuple[np.ndarray, np.ndarray], meshes: np.ndarray
) -> None:
    own, swapped = (
        np.stack([painted(texture, frame, 10.0 * (frame == 1)) for frame in range(3)]) for texture in textures
    )
    assert abs(flicker(swapped, own, meshes)) < 1.5


def test_a_face_that_does_not_move_along_flickers(
    textures: tuple[np.ndarray, np.ndarray], meshes: np.ndarray
) -> None:
    own = np.stack([painted(textures[0], frame) for frame in range(3)])
    stuck = np.repeat(painted(textures[1], 1)[None], 3, 0)
    assert flicker(stuck, own, meshes) > 5


def test_unswapped_faces_are_distinguished_from_swapped_ones(textures: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    own, other = (painted(texture, 0) for texture in textures)
    mesh = face_at(0)

    def coded(picture: np.ndarray, noise: float, shift: float = 0.0) -> np.ndarray:
        changed = picture + shift + noise * rng.standard_normal(picture.shape)
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)

    assert is_unswapped(own, own, mesh)
    assert is_unswapped(coded(own, 6), own, mesh)
    assert is_unswapped(coded(own, 3, 5), own, mesh)  # re-encoding may brighten the whole frame
    assert not is_unswapped(other, own, mesh)
    assert not is_unswapped(coded(other, 6), own, mesh)
    inside = pixels.face_region(mesh, (SIZE, SIZE), 0.0)
    slightly = np.where(inside[..., None], np.clip(own.astype(int) + 6, 0, 255), own).astype(np.uint8)
    assert not is_unswapped(slightly, own, mesh)
