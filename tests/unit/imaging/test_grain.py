"""Sharpness and grain of one face as in another photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reliableswap.imaging.grain import band_gains, match_detail, scaled_bands

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


def in_colours(grey: np.ndarray, rng: np.random.Generator, noise: float) -> np.ndarray:
    """(H,W,3) a grey picture with noise in its colours."""
    return (grey[..., None] + rng.normal(0, noise, (*grey.shape, 3))).astype(np.float32)


def colour_noise(picture: np.ndarray) -> float:
    red = picture[..., 0] - picture[..., 1]
    return float((red - cv2.GaussianBlur(red, (0, 0), 1)).std())


def test_octaves_are_scaled_to_the_references_strength(sharp: np.ndarray, rng: np.random.Generator) -> None:
    reference = in_colours(cv2.GaussianBlur(sharp, (0, 0), 0.6), rng, 0.5)
    soft = in_colours(cv2.GaussianBlur(sharp[::-1].copy(), (0, 0), 0.75), rng, 2.0)
    gains = band_gains(soft, reference, WHOLE, 60)
    made = soft + scaled_bands(soft, reference, gains, WHOLE, 60)
    assert fine(soft.mean(2)) < 0.85 * fine(reference.mean(2))
    assert fine(made.mean(2)) == pytest.approx(fine(reference.mean(2)), rel=0.1)
    assert colour_noise(soft) > 3 * colour_noise(reference)
    assert colour_noise(made) == pytest.approx(colour_noise(reference), rel=0.25)


def test_a_face_without_detail_borrows_it_on_the_skin_alone(
    sharp: np.ndarray, rng: np.random.Generator
) -> None:
    reference, flat = in_colours(sharp, rng, 0.5), np.full((64, 64, 3), 60, np.float32)
    skin = WHOLE.copy()
    skin[:, 32:] = 0
    change = scaled_bands(flat, reference, band_gains(flat, reference, WHOLE, 60), skin, 60)
    assert np.abs(change[:, 32:]).max() < 1e-3
    lent = (flat + change)[:, :32].mean(2)
    assert fine(lent) == pytest.approx(fine(reference[:, :32].mean(2)), rel=0.1)
    assert np.abs(change - change[..., :1]).max() < 1e-3  # brightness only


def test_equal_pictures_and_faces_of_a_few_pixels_stay(sharp: np.ndarray, rng: np.random.Generator) -> None:
    picture = in_colours(sharp, rng, 0.5)
    same = band_gains(picture, picture, WHOLE, 60)
    np.testing.assert_allclose(same, 1)
    np.testing.assert_allclose(scaled_bands(picture, picture, same, WHOLE, 60), 0, atol=1e-3)
    few = np.zeros_like(WHOLE)
    few[:5, :5] = 1
    np.testing.assert_array_equal(band_gains(picture, 2 * picture, few, 60), np.ones((1, 3)))
