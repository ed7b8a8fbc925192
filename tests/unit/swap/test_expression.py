"""The target's expression is given back to a generated face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.blend_faces import WOMAN, face

from reliableswap.faces.face import Face
from reliableswap.geometry import regions
from reliableswap.geometry.shape import MIN_MOVE, displacement, reshape
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps import expression as step
from reliableswap.swap.steps.expression import corrected, correction
from reliableswap.swap.subject import Subject


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
    above = slice(0, int(forehead))
    assert np.abs(kept[above].astype(int) - picture[above]).max() <= 2


def test_the_right_expression_and_no_strength_move_nothing(too_wide: np.ndarray) -> None:
    picture, mesh = face(WOMAN, 256)
    for asked, strength in ((too_wide, 0.0), (mesh, 1.0)):
        kept, moved = drawn_back(picture, asked, mesh, strength)
        assert np.array_equal(kept, picture)
        assert not moved.any()


def test_a_face_that_cannot_be_read_is_left_and_in_a_clip_its_correction_fades(
    too_wide: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, mesh = face(WOMAN, 256)
    subject = Subject.of_crop(picture, mesh, Networks())
    unread = Face.from_mesh(too_wide, 1.0, 0.0)
    monkeypatch.setattr(step, "add_meshes", lambda *_: [unread])
    single = FaceJob.start(subject, Person("woman", (subject,)), SwapSettings(), Networks())
    assert step.expression(single) is single
    before, asked = correction(too_wide, mesh), []

    def half(name: str, value: np.ndarray) -> np.ndarray:
        asked.append((name, float(np.abs(value).max())))
        return (before + value) / 2

    in_clip = FaceJob.start(subject, single.person, SwapSettings(), Networks(), half)
    made = step.expression(in_clip)
    assert asked == [("expression", pytest.approx(0, abs=1e-5))]
    assert not np.array_equal(made.image, picture)
