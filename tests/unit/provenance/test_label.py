"""The visible label."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.media import Picture
from reliableswap.provenance.label import FrameLabel, add_label


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 400), (400, 5), (64, 64), (900, 1600)])
def test_the_label_fits_any_picture(height: int, width: int) -> None:
    grey = np.full((height, width, 3), 128, np.uint8)
    clear = np.zeros((height, width), np.uint8)
    made = add_label(Picture(grey, clear))
    noted = made.pixels
    assert (clear == 0).all()
    assert (made.alpha[(noted != grey).any(2)] == 255).all()  # transparency hides no letter
    assert noted.shape == grey.shape
    assert (grey == 128).all()
    assert (noted != grey).any()
    if min(height, width) > 300:
        assert np.array_equal(noted[: height // 2], grey[: height // 2])
        assert (noted[-60:] > 200).any()  # the letters are light


@pytest.mark.parametrize("size", [(180, 320), (720, 405), (40, 50)])
def test_a_frames_label_is_the_pictures(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    expected = add_label(Picture(pixels)).pixels
    label, frame = FrameLabel(*size), pixels.copy()
    label.draw(frame)
    assert np.abs(frame.astype(int) - expected).max() <= 2, "a letter's edge is rounded twice"
    x0, y0, x1, y1 = label.box
    frame[y0:y1, x0:x1] = pixels[y0:y1, x0:x1]
    assert np.array_equal(frame, pixels), "nothing changes outside of its box"
