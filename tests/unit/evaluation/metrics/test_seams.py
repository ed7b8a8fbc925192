"""Seams along the border of a swap."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.evaluation_people import mesh_of, turned

from reliableswap.evaluation.metrics.seams import seams
from reliableswap.geometry.regions import eroded, face_width, feathered, oval

SHAPE = (400, 400)


@pytest.fixture
def mesh() -> np.ndarray:
    mesh = mesh_of()
    middle, width = mesh.mean(0), face_width(mesh)
    return ((mesh - middle) * (200 / width) + np.array([200, 200, 0])).astype(np.float32)


@pytest.fixture
def photo(rng: np.random.Generator) -> np.ndarray:
    smooth = cv2.resize(
        rng.normal(120, 12, (10, 10, 3)).astype(np.float32), SHAPE, interpolation=cv2.INTER_CUBIC
    )
    return np.clip(smooth + rng.normal(0, 2, (*SHAPE, 3)), 0, 255).astype(np.uint8)


def pasted(photo: np.ndarray, mesh: np.ndarray, lighter: float, feather: float) -> np.ndarray:
    """The photo with its face lightened up to 3 % inside the outline."""
    mask = feathered(eroded(oval(mesh, SHAPE), 0.03 * face_width(mesh)), feather)
    return np.clip(photo + lighter * mask[..., None], 0, 255).astype(np.uint8)


def test_an_unchanged_photo_has_none(photo: np.ndarray, mesh: np.ndarray) -> None:
    assert seams(photo, mesh, photo, mesh) == (1, 1)


def test_the_harder_the_border_the_worse(photo: np.ndarray, mesh: np.ndarray) -> None:
    hard, soft, none = (
        seams(pasted(photo, mesh, *how), mesh, photo, mesh)[0] for how in ((25, 0.5), (25, 12), (0, 1))
    )
    assert hard > 2 * soft
    assert hard > 3
    assert none == 1


def test_a_seam_along_a_tenth_of_the_border_shows_in_the_percentile(
    photo: np.ndarray, mesh: np.ndarray
) -> None:
    cut = pasted(photo, mesh, 25, 0.5)
    cut[150:] = photo[150:]
    cut[:, :180] = photo[:, :180]
    middle, high = seams(cut, mesh, photo, mesh)
    assert middle == 1
    assert high > 2


def test_a_moved_outline_is_compared_with_the_photos_own(photo: np.ndarray, mesh: np.ndarray) -> None:
    lit = pasted(photo, mesh, 40, 1)
    matrix = np.array([[1.0, 0, 15], [0, 1, -10]])
    moved = cv2.warpAffine(lit, matrix, SHAPE, borderMode=cv2.BORDER_REFLECT)
    middle, high = seams(moved, mesh + np.array([15, -10, 0], np.float32), lit, mesh)
    assert (middle, high) == pytest.approx((1, 1), abs=0.02)


def test_a_turned_mesh_has_its_border_too(photo: np.ndarray, mesh: np.ndarray) -> None:
    profile = turned(mesh, 60, 1)
    assert seams(pasted(photo, profile, 25, 0.5), profile, photo, profile)[0] > 2
