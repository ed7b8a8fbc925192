"""Reading a picture at positions."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.geometry.resampling import read_at, tiles_with, to_bytes


@pytest.mark.parametrize(
    "shape", [(150, 201), (1100, 950)]
)  # small pictures and large ones have kernels of their own
def test_where_something_is_needed_a_picture_is_read_as_a_whole_one_is(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    picture = rng.integers(0, 256, (90, 120, 3), np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    positions = np.dstack([x * 0.6 - 3, y * 0.55 + 1.3])
    needed = np.zeros(shape, np.uint8)
    needed[10:20, 100:140] = needed[140:, 3] = 1
    part, whole = read_at(picture, positions, needed), read_at(picture, positions)
    assert np.array_equal(part[needed > 0], whole[needed > 0])
    assert not part[64:128].any()


def test_tiles_hold_all_that_is_needed_and_little_else() -> None:
    needed = np.zeros((200, 300), np.uint8)
    needed[5, 60:70] = needed[199, 299] = 1
    held = np.zeros_like(needed)
    for tile in tiles_with(needed):
        held[tile] += 1
    assert held.max() == 1
    assert held[needed > 0].all()
    assert held.sum() == 64 * 128 + (200 - 192) * (300 - 256)


def test_bytes_are_rounded_and_limited() -> None:
    values = np.array([[-3.2, 0.4, 0.6, 254.7, 300.0]], np.float32)
    assert to_bytes(values).tolist() == [[0, 0, 1, 255, 255]]
