"""Sharpness and grain of one face as in another photo."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from reliableswap.imaging.grain import Octaves, detail_change, match_detail

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


def test_nothing_changes_without_strength_or_between_equal_pictures(
    sharp: np.ndarray, smooth: np.ndarray
) -> None:
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
    made = soft + detail_change(soft, reference, reference, WHOLE, WHOLE, 60)
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
    change = detail_change(flat, reference, reference, WHOLE, skin, 60)
    assert np.abs(change[:, 32:]).max() < 1e-3
    lent = (flat + change)[:, :32].mean(2)
    assert fine(lent) == pytest.approx(fine(reference[:, :32].mean(2)), rel=0.1)
    assert np.abs(change - change[..., :1]).max() < 1e-3  # brightness only


def test_equal_pictures_and_faces_of_a_few_pixels_do_not_change(
    sharp: np.ndarray, rng: np.random.Generator
) -> None:
    picture = in_colours(sharp, rng, 0.5)
    np.testing.assert_allclose(detail_change(picture, picture, picture, WHOLE, WHOLE, 60), 0, atol=1e-3)
    few = np.zeros_like(WHOLE)
    few[:5, :5] = 1
    assert not detail_change(picture, 2 * picture, picture, few, WHOLE, 60).any()


def test_wide_octaves_on_reduced_copies_are_those_of_the_whole_picture(rng: np.random.Generator) -> None:
    picture = rng.normal(120, 20, (301, 260, 3)).astype(np.float32)
    octaves = Octaves.of(picture, face_width=900)
    assert len(octaves.smooth) == 6
    smooth = [picture]
    for sigma in 0.7 * 2.0 ** np.arange(5):
        smooth.append(cv2.GaussianBlur(smooth[-1], (0, 0), sigma))
    weights = np.array([0.5, 0.2, 0.6, 0.4, 0.3])
    wanted = sum(k * (a - b) for k, (a, b) in zip(weights, pairwise(smooth), strict=True))
    np.testing.assert_allclose(octaves.weighted(weights[:, None, None] * np.eye(3)), wanted, atol=0.25)
    whole = [np.sqrt(np.mean(np.square(a - b), (0, 1))) for a, b in pairwise(smooth)]
    measured = octaves.strengths(np.ones(picture.shape[:2], np.float32), np.eye(3, dtype=np.float32))
    np.testing.assert_allclose(measured, whole, rtol=0.05)
