"""Pictures in: every kind of source, hostile files, limits, and the picture itself."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from support.hostile import (
    HOSTILE,
    JPEG,
    QUARTERS,
    SIZE,
    Case,
    cmyk,
    cmyk_profile,
    encoded,
    four,
    rgb,
    rgb_profile,
)

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture


def quarters(plane: np.ndarray) -> list[np.ndarray]:
    height, width = plane.shape[:2]
    rows, columns = (height // 4, height - 1 - height // 4), (width // 4, width - 1 - width // 4)
    return [plane[y, x] for y in rows for x in columns]


@pytest.fixture
def picture() -> Picture:
    return Picture(four(), name="four")


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


def test_the_table_is_large_and_its_names_differ() -> None:
    assert len(HOSTILE) >= 60
    assert len({case.name for case in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_cut_file_is_refused_or_whole(form: str) -> None:
    """At any length: never a picture with a part missing."""
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


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    content = encoded(rgb(), "PNG")
    path = tmp_path / "four.png"
    path.write_bytes(content)
    sources = [path, str(path), content, bytearray(content), io.BytesIO(content), rgb(), four()]
    for source in sources:
        np.testing.assert_array_equal(read_picture(source).pixels, four())
    with path.open("rb") as stream:
        assert read_picture(stream).name.endswith("four.png")
    with Image.open(path) as lazy:
        assert read_picture(lazy).format == "PNG"
    first = read_picture(path)
    assert read_picture(first) is first


def test_a_pipe_can_be_a_stream() -> None:
    reader, writer = os.pipe()
    content = encoded(rgb(), "PNG")

    def feed() -> None:
        with os.fdopen(writer, "wb") as out:
            out.write(content)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        np.testing.assert_array_equal(read_picture(stream).pixels, four())
    thread.join()


def test_a_stream_has_an_end() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    with pytest.raises(PictureError, match="gives more than"):
        read_picture(Endless(), max_pixels=100)
    with pytest.raises(PictureError, match="binary mode"):
        read_picture(io.StringIO("text"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["https://example.org/a.jpg", "HTTP://x/y.png", "file:///a.jpg", "data:image/png;base64,AA"]
)
def test_addresses_are_refused(url: str) -> None:
    with pytest.raises(PictureError, match="only local files"):
        read_picture(url)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "name is empty"),
        ("a\0b.jpg", "can't be opened"),
        ("x" * 5000, "can't be opened"),
        (b"", "bytes is empty"),
        (None, "can't be a NoneType"),
        (3.5, "can't be a float"),
        (np.zeros((4, 4, 3), np.float32), r"clip\(0, 1\) \* 255"),
        (np.zeros((4, 4, 3), np.uint16), "257"),
        (np.zeros((4, 4), bool), r"\* 255"),
        (np.zeros((4, 4, 3), np.int64), r"clip\(0, 255\)"),
        (np.zeros((3, 40, 40), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((40, 40, 1), np.uint8), r"array\[\.\.\., 0\]"),
        (np.zeros((1, 40, 40, 3), np.uint8), r"array\[0\]"),
        (np.zeros((40, 40, 2), np.uint8), "RGBA"),
        (np.zeros(40, np.uint8), "height, width"),
        (np.zeros((0, 40, 3), np.uint8), "no pixels"),
        (Image.new("F", (4, 4)), "floating-point"),
        (Image.new("I", (4, 4), -5), "outside 0..65535"),
    ],
    ids=range(18),
)
def test_sources_that_are_no_picture(source: object, message: str) -> None:
    with pytest.raises(PictureError, match=message) as caught:
        read_picture(source)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "private.png"
    path.write_bytes(encoded(rgb(), "PNG"))
    path.chmod(0)
    with pytest.raises(PictureError, match="permissions"):
        read_picture(path)


def test_a_refused_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PictureError, match="may not be read; check its permissions"):
        read_picture(tmp_path / "private.png")


def test_arrays_keep_alpha_and_are_copied() -> None:
    array = np.dstack([four(), np.full(SIZE[::-1], 77, np.uint8)])
    picture = read_picture(array)
    assert picture.alpha is not None
    array[:] = 0
    assert (picture.alpha == 77).all()
    np.testing.assert_array_equal(picture.pixels, four())
    grey = read_picture(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert grey.pixels[2, 3].tolist() == [11, 11, 11]


def test_a_pil_image_is_turned_once_and_left_alone() -> None:
    image = Image.fromarray(np.ascontiguousarray(np.rot90(four(), 1)))
    image.getexif()[274] = 6
    for _ in range(2):
        np.testing.assert_array_equal(read_picture(image).pixels, four())
    assert image.size == SIZE[::-1]


def test_limit_is_exact_and_told_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(rgb(), "PNG")
    area = SIZE[0] * SIZE[1]
    assert read_picture(content, max_pixels=area).width == SIZE[0]
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded before the limit"))
    for limit in (area - 1, area // 2, area // 3):
        with pytest.raises(PictureError, match="limit"):
            read_picture(content, max_pixels=limit)
    with pytest.raises(PictureError, match="positive"):
        read_picture(content, max_pixels=0)


@pytest.mark.parametrize("source", [four(), rgb(), Picture(four())])
def test_limit_holds_in_memory(source: object) -> None:
    with pytest.raises(PictureError, match="limit"):
        read_picture(source, max_pixels=100)  # type: ignore[arg-type]


def test_pillows_settings_are_ours_while_reading_and_the_hosts_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    content = encoded(rgb(), "PNG")
    assert read_picture(content).width == SIZE[0]
    with pytest.raises(PictureError, match="incomplete"):
        read_picture(encoded(rgb(), "JPEG", **JPEG)[:-300])
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == (True, 10)


def test_threads_read_side_by_side() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    whole = encoded(rgb(), "JPEG", **JPEG)
    outcomes: list[str] = []

    def work(content: bytes, limit: int) -> None:
        for _ in range(20):
            try:
                outcomes.append(str(read_picture(content, max_pixels=limit).width))
            except PictureError as error:
                outcomes.append("limit" if "limit" in str(error) else "incomplete")

    jobs = [(whole, 10**6), (whole, 100), (whole[:-300], 10**6)]
    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {o: outcomes.count(o) for o in outcomes} == {str(SIZE[0]): 20, "limit": 20, "incomplete": 20}
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def test_profiles(tmp_path: Path) -> None:
    profile = rgb_profile()
    for form, options in [("JPEG", JPEG), ("PNG", {}), ("WEBP", {}), ("TIFF", {})]:
        read = read_picture(encoded(rgb(), form, icc_profile=profile, **options))
        assert read.icc == profile
    assert read_picture(cmyk(cmyk_profile())).icc is None
    assert read_picture(cmyk(None)).icc is None
    assert read_picture(encoded(rgb(), "PNG", icc_profile=b"rubbish" * 30)).icc is None


# The pieces


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


def test_importing_media_brings_no_framework() -> None:
    code = (
        "import sys, reliableswap.media as m; m.read_picture; m.write_picture; import reliableswap.provenance as p; "
        "p.read_mark; print([x for x in ('torch', 'diffusers', 'cv2') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    # Either room first: each uses the other, so a circle of imports would show here.
    subprocess.run([sys.executable, "-c", "import reliableswap.provenance.metadata"], check=True)
    subprocess.run([sys.executable, "-c", "import reliableswap.media.write"], check=True)
