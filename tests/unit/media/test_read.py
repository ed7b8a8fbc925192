"""Reading pictures from every kind of source, and the limits of doing so."""

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
from support.picture_files import JPEG, SIZE, cmyk, cmyk_profile, encoded, four, rgb, rgb_profile

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture


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

    with pytest.raises(PictureError, match="holds more than"):
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


def test_a_refused_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PictureError, match="permission denied; check its permissions"):
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


def test_a_stream_that_was_read_before_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(four()).save(path)
    with path.open("rb") as stream:
        read_picture(stream)
        with pytest.raises(PictureError, match="has already been read to its end"):
            read_picture(stream)


def test_multiplied_alpha_is_undone() -> None:
    image = Image.fromarray(np.dstack([np.full((4, 4), 200, np.uint8), np.full((4, 4), 128, np.uint8)]), "LA")
    picture = read_picture(image.convert("La"))
    assert picture.alpha is not None
    assert np.abs(picture.pixels.astype(int) - 200).max() <= 2


def test_a_pil_image_is_rotated_in_a_copy() -> None:
    image = Image.fromarray(np.ascontiguousarray(np.rot90(four(), 1)))
    image.getexif()[274] = 6
    for _ in range(2):
        np.testing.assert_array_equal(read_picture(image).pixels, four())
    assert image.size == SIZE[::-1]


def test_limit_is_exact_and_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_profiles(tmp_path: Path) -> None:
    profile = rgb_profile()
    for form, options in [("JPEG", JPEG), ("PNG", {}), ("WEBP", {}), ("TIFF", {})]:
        read = read_picture(encoded(rgb(), form, icc_profile=profile, **options))
        assert read.icc == profile
    assert read_picture(cmyk(cmyk_profile())).icc is None
    assert read_picture(cmyk(None)).icc is None
    assert read_picture(encoded(rgb(), "PNG", icc_profile=b"rubbish" * 30)).icc is None


def test_importing_media_imports_no_framework() -> None:
    code = (
        "import sys, reliableswap.media as m; m.read_picture; m.write_picture; import reliableswap.provenance as p; "
        "p.read_mark; print([x for x in ('torch', 'diffusers', 'cv2') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    # Import either package first: each uses the other, so a circular import would show here.
    subprocess.run([sys.executable, "-c", "import reliableswap.provenance.metadata"], check=True)
    subprocess.run([sys.executable, "-c", "import reliableswap.media.write"], check=True)


def large_jpeg(size: tuple[int, int] = (2048, 1200), **options: object) -> bytes:
    """Smooth colours, darker to the left."""
    across = np.linspace(20, 230, size[0], dtype=np.float32)
    pixels = np.dstack([np.tile(across, (size[1], 1))] * 3).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("least", "reduction"), [(2048, 1), (1024, 2), (700, 2), (512, 4), (100, 8), (None, 1)]
)
def test_a_large_jpeg_may_be_read_reduced(least: int | None, reduction: int) -> None:
    picture = read_picture(large_jpeg(), least_side=least)
    assert (picture.width, picture.height) == (2048 // reduction, 1200 // reduction)
    assert picture.reduction == reduction
    whole = read_picture(large_jpeg()).pixels[::reduction, ::reduction].astype(int)
    assert np.abs(picture.pixels.astype(int) - whole).max() <= 3


def test_a_reduced_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be rotated clockwise
    picture = read_picture(large_jpeg(exif=exif.tobytes()), least_side=512)
    assert (picture.width, picture.height, picture.reduction) == (300, 512, 4)
    assert picture.pixels[0].mean() < 40 < 200 < picture.pixels[-1].mean()


def test_only_jpeg_is_reduced_and_damage_is_found(tmp_path: Path) -> None:
    content = encoded(Image.new("RGB", (2048, 100)), "PNG")
    assert read_picture(content, least_side=100).reduction == 1
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(large_jpeg()[:-2000])
    with pytest.raises(PictureError, match="damaged or incomplete"):
        read_picture(damaged, least_side=256)
