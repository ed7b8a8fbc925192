"""The mark in encoded pictures: other readers find it, and the pixels stay bit for bit."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from support.picture_files import JPEG, encoded, exif_jpeg, four, rgb

from reliableswap.errors import PictureError
from reliableswap.media import read_picture
from reliableswap.provenance import Mark, mark_bytes, read_mark
from reliableswap.provenance.metadata import SOFTWARE, SOURCE_TYPE

ENCODED = {
    "jpeg by OpenCV": cv2.imencode(".jpg", four())[1].tobytes(),
    "jpeg by Pillow": encoded(rgb(), "JPEG", **JPEG),
    "jpeg with EXIF": exif_jpeg(6),
    "png by OpenCV": cv2.imencode(".png", four())[1].tobytes(),
    "png by Pillow": encoded(rgb(), "PNG"),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_marked_bytes_show_the_same_picture(data: bytes) -> None:
    marked = mark_bytes(data, {"kind": "surrogate"})
    assert read_mark(marked) == Mark(SOURCE_TYPE, SOFTWARE, {"kind": "surrogate"})
    np.testing.assert_array_equal(read_picture(marked).pixels, read_picture(data).pixels)
    for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED):
        decoded = [cv2.imdecode(np.frombuffer(file, np.uint8), flags) for file in (data, marked)]
        np.testing.assert_array_equal(*decoded)


def test_marking_is_deterministic_and_small() -> None:
    data = ENCODED["jpeg by OpenCV"]
    assert mark_bytes(data) == mark_bytes(data)
    assert len(mark_bytes(data)) - len(data) < 1000


def test_exif_stays_before_the_mark() -> None:
    with Image.open(io.BytesIO(mark_bytes(ENCODED["jpeg with EXIF"]))) as image:
        assert image.getexif()[274] == 6


@pytest.mark.parametrize("form", ["WEBP", "GIF"])
def test_other_formats_are_refused(form: str) -> None:
    with pytest.raises(PictureError, match="neither JPEG nor PNG"):
        mark_bytes(encoded(rgb(), form))


def test_details_too_long_for_a_jpeg_are_refused() -> None:
    with pytest.raises(PictureError, match="JPEG holds 65504; shorten it"):
        mark_bytes(ENCODED["jpeg by OpenCV"], {"log": "x" * 70_000})
    mark_bytes(ENCODED["png by OpenCV"], {"log": "x" * 70_000})
