"""The target's expression is given back to a generated face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.blend_faces import WOMAN, face

from reliableswap.geometry import regions
from reliableswap.geometry.shape import MIN_MOVE, displacement, reshape
from reliableswap.swap.steps.expression import corrected, correction


@pytest.fixture
def too_wide() -> np.ndarray:
    """The woman's mesh with a smile that is not hers."""
    _, mesh = face(WOMAN, 256)
    eyes = np.linalg.norm(mesh[33] - mesh[263])
    smiling = mesh.copy()
    for corner, side in ((61, -1), (291, 1)):
        near = np.exp(-np.square(np.linalg.norm(mesh - mesh[corner], axis=1) / (0.25 * eyes)))
        smiling[:, :2] += near[:, None] * np.array([0.05 * side, -0.05]) * eyes
    return smiling


def drawn_back(
    picture: np.ndarray, mesh: np.ndarray, goal: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """The picture with the goal's expression, and where it moved."""
    move = displacement(mesh, corrected(mesh, correction(mesh, goal), strength), picture.shape[:2])
    return reshape(picture, move), np.abs(move).max(2) >= MIN_MOVE


def test_a_smile_that_is_too_wide_is_drawn_back(too_wide: np.ndarray) -> None:
    picture, mesh = face(WOMAN, 256)
    made = reshape(picture, displacement(mesh, too_wide, picture.shape[:2]))
    kept, _ = drawn_back(made, too_wide, mesh, 1.0)
    eyes = float(np.linalg.norm(mesh[33] - mesh[263]))
    mouth = cv2.dilate(regions.inner_mouth(too_wide, picture.shape[:2]), regions.disc(0.15 * eyes)) > 0
    before, after = (np.abs(one.astype(float) - picture).mean(2)[mouth].mean() for one in (made, kept))
    assert after < 0.8 * before


def test_nothing_but_the_mouth_moves(too_wide: np.ndarray) -> None:
    picture, mesh = face(WOMAN, 256)
    kept, moved = drawn_back(picture, too_wide, mesh, 1.0)
    assert np.array_equal(kept[~moved], picture[~moved])
    forehead = mesh[10, 1] + 0.1 * (mesh[168, 1] - mesh[10, 1])
    assert np.array_equal(kept[: int(forehead)], picture[: int(forehead)])


def test_the_right_expression_and_no_strength_move_nothing(too_wide: np.ndarray) -> None:
    picture, mesh = face(WOMAN, 256)
    for asked, strength in ((too_wide, 0.0), (mesh, 1.0)):
        kept, moved = drawn_back(picture, asked, mesh, strength)
        assert np.array_equal(kept, picture)
        assert not moved.any()
