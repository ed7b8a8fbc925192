"""Hostile and odd files: each gives its picture or one clear error, and never half a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.hostile import HOSTILE, Case
from support.picture_files import encoded, rgb

from reliableswap.errors import PictureError
from reliableswap.media import read_picture


def quarters(plane: np.ndarray) -> list[np.ndarray]:
    height, width = plane.shape[:2]
    rows, columns = (height // 4, height - 1 - height // 4), (width // 4, width - 1 - width // 4)
    return [plane[y, x] for y in rows for x in columns]


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_file(case: Case, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = case.make(tmp_path)
    if case.outcome == "error":
        with pytest.raises(PictureError) as caught:
            read_picture(path)
        message = str(caught.value)
        assert case.message in message
        assert "\n" not in message
        assert path.name.split("\n")[0] in message, "the message names the file"
        assert "; " in message, "the message says what to do"
    else:
        picture = read_picture(path)
        assert (picture.width, picture.height) == case.size
        assert picture.name == path.name
        for got, wanted in zip(quarters(picture.pixels), case.quarters, strict=True):
            assert np.abs(got.astype(int) - wanted).max() <= case.tolerance, (got, wanted)
        alpha = None if picture.alpha is None else tuple(int(a) for a in quarters(picture.alpha))
        assert alpha == case.alpha
    assert capfd.readouterr() == ("", ""), "nothing but the message reaches the terminal"


def test_there_are_many_hostile_cases_with_distinct_names() -> None:
    assert len(HOSTILE) >= 60
    assert len({case.name for case in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_cut_file_is_refused_or_whole(form: str) -> None:
    """Whatever the length, no picture with missing parts is returned."""
    image = Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 40, 3), np.uint8))
    whole = encoded(image, form)
    expected = read_picture(whole).pixels
    refused = 0
    for length in np.linspace(0, len(whole) - 1, 60).astype(int):
        try:
            got = read_picture(whole[:length]).pixels
        except PictureError:
            refused += 1
        else:
            np.testing.assert_array_equal(got, expected)
    assert refused >= 55


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_changed_bytes_raise_nothing_but_picture_errors(form: str) -> None:
    rng = np.random.default_rng(11)
    whole = encoded(rgb(), form)
    for _ in range(60):
        changed = bytearray(whole)
        for at in rng.integers(0, len(changed), 3):
            changed[at] = rng.integers(256)
        try:
            picture = read_picture(bytes(changed), max_pixels=1_000_000)
        except PictureError as error:
            message = str(error)
        else:
            message = ""
            assert picture.pixels.dtype == np.uint8
        assert "\n" not in message
