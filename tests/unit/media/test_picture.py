"""A picture in memory."""

from __future__ import annotations

import numpy as np
import pytest
from support.picture_files import QUARTERS, SIZE, four, rgb_profile

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture


def test_a_picture_checks_its_arrays() -> None:
    with pytest.raises(PictureError, match="height, width, 3"):
        Picture(np.zeros((4, 4), np.uint8))
    with pytest.raises(PictureError, match="alpha of shape"):
        Picture(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))
    with pytest.raises(PictureError, match="not uint8"):
        Picture(np.zeros((4, 4, 3), np.float64))


def test_to_pil_keeps_alpha_and_profile() -> None:
    image = Picture(four(), np.full(SIZE[::-1], 9, np.uint8), rgb_profile()).to_pil()
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0)) == (*QUARTERS[0], 9)
    read = read_picture(image)
    assert read.icc == rgb_profile()
    assert read.alpha is not None
