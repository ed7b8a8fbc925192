"""Laplacian pyramids and blending by bands."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reliableswap.imaging import bands

few = settings(max_examples=12, deadline=None, derandomize=True)


def noise(seed: int, height: int = 40, width: int = 52) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)).astype(np.float32), (0, 0), 1.5)


@few
@given(st.integers(0, 2**31), st.integers(0, 6), st.integers(9, 70), st.integers(9, 70))
def test_a_pyramid_collapses_to_its_picture(seed: int, count: int, height: int, width: int) -> None:
    picture = noise(seed, height, width)
    found = bands.collapse(bands.laplacian_pyramid(picture, bands.bands_for((height, width), count)))
    np.testing.assert_allclose(found, picture, atol=1e-3)


@few
@given(st.integers(0, 2**31), st.integers(0, 6))
def test_a_mask_of_ones_or_zeros_returns_one_picture(seed: int, count: int) -> None:
    over, under = noise(seed), noise(seed + 1)
    zeros = np.zeros(over.shape[:2], np.float32)
    assert (bands.blend_bands(over, under, zeros, count) == under).all()
    np.testing.assert_allclose(bands.blend_bands(over, under, zeros + 1, count), over, atol=1e-3)


def test_coarse_bands_mix_widely() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[:, 32:] = 1
    flat = np.zeros((64, 64, 3), np.float32)
    row = bands.blend_bands(flat + 100, flat, mask, 4)[32, :, 0]
    assert np.abs(np.diff(row)).max() < 20


def test_fine_bands_mix_narrowly() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[:, 32:] = 1
    flat = np.full((64, 64, 3), 50, np.float32)
    stripes = np.zeros_like(flat)
    stripes[:, ::2] = 100
    row = bands.blend_bands(stripes, flat, mask, 4)[32, :, 0]
    assert np.abs(row[:24] - 50).max() < 5
    assert np.abs(np.diff(row[40:])).min() > 80
