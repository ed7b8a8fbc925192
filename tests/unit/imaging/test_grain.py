"""Sharpness and grain of one face as in another photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reliableswap.imaging.grain import match_detail

WHOLE = np.ones((64, 64), np.float32)


@pytest.fixture
def sharp(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(60, 6, (64, 64)).astype(np.float32)


@pytest.fixture
def smooth(sharp: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(sharp, (0, 0), 2)


def fine(picture: np.ndarray) -> float:
    """The strength of the finest detail."""
    return float((picture - cv2.GaussianBlur(picture, (0, 0), 1)).std())


def test_a_sharp_face_is_softened_for_a_soft_photo(sharp: np.ndarray, smooth: np.ndarray) -> None:
    assert fine(match_detail(sharp, smooth, WHOLE, WHOLE, 60)) < 0.4 * fine(sharp)


def test_a_smooth_face_gets_the_photos_grain(sharp: np.ndarray, smooth: np.ndarray) -> None:
    assert fine(match_detail(smooth, sharp, WHOLE, WHOLE, 60)) == pytest.approx(fine(sharp), rel=0.25)


def test_grain_is_added_on_the_skin_alone(sharp: np.ndarray, smooth: np.ndarray) -> None:
    skin = WHOLE.copy()
    skin[:, 32:] = 0
    out = match_detail(smooth, sharp, WHOLE, skin, 60)
    assert np.array_equal(out[:, 32:], smooth[:, 32:])
    assert not np.array_equal(out[:, :32], smooth[:, :32])


def test_nothing_changes_without_strength_or_between_equals(sharp: np.ndarray, smooth: np.ndarray) -> None:
    assert match_detail(sharp, smooth, WHOLE, WHOLE, 60, strength=0) is sharp
    assert np.array_equal(match_detail(sharp, sharp, WHOLE, WHOLE, 60), sharp)
