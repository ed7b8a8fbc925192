"""Masks of a face's regions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.blend_faces import SMILE, WOMAN, face

from reliableswap.geometry import regions


@pytest.fixture
def mask(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((40, 50)) < 0.02).astype(np.float32)


@pytest.mark.parametrize(("radius", "pixels"), [(0.2, 1), (2.6, 3), (9.0, 9)])
def test_masks_are_dilated_and_eroded_by_a_disc(mask: np.ndarray, radius: float, pixels: int) -> None:
    y, x = np.mgrid[:40, :50]
    ones = np.argwhere(mask > 0)
    distance = np.sqrt(((np.stack([y, x], -1)[:, :, None] - ones) ** 2).sum(-1)).min(-1)
    assert np.array_equal(regions.dilated(mask, radius), distance <= pixels)
    assert np.array_equal(regions.eroded(1 - mask, radius), distance > pixels)


def test_the_pictures_border_erodes_nothing() -> None:
    assert regions.eroded(np.ones((5, 5), np.float32), 3).all()
    assert not regions.dilated(np.zeros((5, 5), np.float32), 3).any()


@pytest.mark.parametrize(
    "part",
    [regions.lower_face, regions.folds, regions.forehead, regions.nostrils, regions.lips, regions.eyes],
)
def test_parts_lie_inside_the_outline(part: type) -> None:
    picture, mesh = face(WOMAN)
    inside = part(mesh, picture.shape[:2]) > 0
    assert inside.any()
    assert (regions.oval(mesh, picture.shape[:2])[inside] > 0).mean() > 0.97


def test_skin_has_no_eyes_brows_or_lips() -> None:
    picture, mesh = face(WOMAN)
    shape = picture.shape[:2]
    features = np.maximum(
        regions.eyes(mesh, shape), np.maximum(regions.brows(mesh, shape), regions.lips(mesh, shape))
    )
    assert not regions.skin(mesh, shape)[features > 0].any()


def test_folds_lie_beside_the_lips_on_both_sides() -> None:
    picture, mesh = face(WOMAN)
    shape = picture.shape[:2]
    folds, lips = regions.folds(mesh, shape) > 0, regions.lips(mesh, shape) > 0
    assert not (folds & lips).any()
    columns = np.arange(shape[1])
    left, right = (folds & side for side in (columns < mesh[61, 0], columns > mesh[291, 0]))
    assert 0.7 < left.sum() / right.sum() < 1.4
    assert left.sum() > 0.5 * lips.sum()


def test_a_smile_that_shows_teeth_is_open() -> None:
    assert regions.mouth_opening(face(WOMAN)[1]) < 0.08 < 0.12 < regions.mouth_opening(face(SMILE)[1])


def test_a_window_holds_the_mesh_and_stays_in_the_picture() -> None:
    picture, mesh = face(WOMAN)
    rows, columns = regions.window(mesh, picture.shape[:2], pad=5)
    assert rows.start <= mesh[:, 1].min() - 5
    assert columns.stop >= mesh[:, 0].max() + 5
    rows, columns = regions.window(mesh - (1000, 0, 0), picture.shape[:2], pad=5)
    assert (columns.start, columns.stop) == (0, 8)


@pytest.mark.parametrize(
    ("shape", "sigma"), [((300, 417), 9.0), ((300, 417), 30.0), ((40, 300), 12.0), ((9, 9), 5)]
)
def test_a_wide_feather_is_the_gaussian_blur(shape: tuple[int, int], sigma: float) -> None:
    mask = np.zeros(shape, np.float32)
    cv2.ellipse(mask, (shape[1] // 2, shape[0] // 2), (shape[1] // 3, shape[0] // 2), 20, 0, 360, 1, -1)
    exact = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(regions.feathered(mask, sigma) - exact).max() < 3e-3
    ones = np.ones(shape, np.float32)
    assert np.allclose(regions.feathered(ones, sigma), 1, atol=1e-5)
    assert not regions.feathered(0 * ones, sigma).any()
