"""Sampling a picture at given positions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reliableswap.geometry.resampling import put, read_points, to_bytes


@pytest.mark.parametrize("kernel", [cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
@pytest.mark.parametrize("count", [0, 1, 1024, 1500])
def test_single_points_are_sampled_as_in_a_whole_picture(
    count: int, kernel: int, rng: np.random.Generator
) -> None:
    picture = rng.integers(0, 256, (90, 120, 3), np.uint8)
    y, x = np.mgrid[:150, :201].astype(np.float32)
    positions = np.dstack([x * 0.6 - 3, y * 0.55 + 1.3])
    whole = cv2.remap(picture, positions, None, kernel, borderMode=cv2.BORDER_REPLICATE)
    chosen = rng.permutation(150 * 201)[:count]
    read = read_points(picture, positions.reshape(-1, 2)[chosen], kernel)
    assert np.array_equal(read, whole.reshape(-1, 3)[chosen])


def test_values_are_written_at_their_indices(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (9, 12, 3), np.uint8)
    expected, values = picture.copy(), np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    expected[0, 5], expected[8, 11] = values
    put(picture, np.array([5, 9 * 12 - 1]), values)
    assert np.array_equal(picture, expected)


def test_bytes_are_rounded_and_limited() -> None:
    values = np.array([[-3.2, 0.4, 0.6, 254.7, 300.0]], np.float32)
    assert to_bytes(values).tolist() == [[0, 0, 1, 255, 255]]
