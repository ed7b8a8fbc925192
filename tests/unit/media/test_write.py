"""Writing pictures: round trips through every format, and the mark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import person
from support.picture_files import JPEG, SIZE, encoded, four, rgb, rgb_profile, rgba

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture, write_picture
from reliableswap.provenance import Mark, read_mark
from reliableswap.provenance.metadata import SOFTWARE, SOURCE_TYPE

EXTENSIONS = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "avif"]


@pytest.fixture
def picture() -> Picture:
    return Picture(four(), name="four")


@pytest.fixture(scope="module")
def portrait() -> Picture:
    return read_picture(person(1))


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_round_trip(extension: str, portrait: Picture, tmp_path: Path) -> None:
    source = Picture(portrait.pixels[:200, :300], None, rgb_profile(), "portrait")
    path = tmp_path / f"out.{extension}"
    assert write_picture(source, path, metadata={"engine": "blend"}) == path
    read = read_picture(path)
    difference = np.abs(read.pixels.astype(int) - source.pixels)
    if extension in ("png", "tif", "tiff"):
        assert difference.max() == 0
    else:
        assert difference.mean() < 3
    assert read.icc == source.icc
    assert read.alpha is None
    mark = read_mark(path)
    assert mark == Mark(SOURCE_TYPE, SOFTWARE, {"engine": "blend"})
    assert mark.ai_made


@pytest.mark.parametrize("extension", ["png", "webp", "tif"])
@pytest.mark.parametrize("opaque", [True, False])
def test_alpha_survives(extension: str, opaque: bool, tmp_path: Path) -> None:
    alpha = np.full(SIZE[::-1], 255, np.uint8) if opaque else np.asarray(rgba().getchannel("A"))
    path = tmp_path / f"out.{extension}"
    write_picture(Picture(four(), alpha), path)
    read = read_picture(path)
    if opaque and extension == "webp":  # WebP itself drops an opaque alpha channel
        assert read.alpha is None or (read.alpha == 255).all()
    else:
        np.testing.assert_array_equal(read.alpha, alpha)


def test_jpeg_drops_only_an_opaque_alpha(tmp_path: Path) -> None:
    write_picture(Picture(four(), np.full(SIZE[::-1], 255, np.uint8)), tmp_path / "opaque.jpg")
    assert read_picture(tmp_path / "opaque.jpg").alpha is None
    with pytest.raises(PictureError, match=r"transparency of four; write \.png"):
        write_picture(
            Picture(four(), np.full(SIZE[::-1], 254, np.uint8), name="four"), tmp_path / "clear.jpg"
        )
    assert not (tmp_path / "clear.jpg").exists()


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_other_software_finds_the_mark(extension: str, picture: Picture, tmp_path: Path) -> None:
    path = tmp_path / f"out.{extension}"
    write_picture(picture, path)
    content = path.read_bytes()
    places = {
        "png": b"XML:com.adobe.xmp\0\0\0\0\0",
        "jpg": b"http://ns.adobe.com/xap/1.0/\0",
        "webp": b"XMP ",
    }
    places["jpeg"] = places["jpg"]
    assert places.get(extension, b"") in content
    assert SOURCE_TYPE.encode() in content
    with Image.open(path) as image:
        if extension == "png":
            assert image.info["Software"] == SOFTWARE
        else:
            assert image.getexif()[305] == SOFTWARE
        if extension.startswith("tif"):
            assert SOURCE_TYPE.encode() in image.tag_v2[700]
            assert image.tag_v2.tagtype[700] == 1


def test_the_originals_exif_is_dropped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "SECRET-CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    source = read_picture(encoded(rgb(), "JPEG", exif=exif.tobytes(), **JPEG))
    for extension in EXTENSIONS:
        path = tmp_path / f"out.{extension}"
        write_picture(source, path)
        assert b"SECRET-CAMERA" not in path.read_bytes()


@pytest.mark.parametrize(
    "metadata", [{"a b": "x"}, {"": "x"}, {"1a": "x"}, {"a": 3}, {"a": "x\x00"}, {"a:b": "x"}]
)
def test_metadata_that_can_not_be_written(metadata: dict, picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="metadata"):
        write_picture(picture, tmp_path / "out.png", metadata=metadata)
    assert not list(tmp_path.iterdir())


def test_metadata_too_long_for_jpeg(picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="shorten"):
        write_picture(picture, tmp_path / "out.jpg", metadata={"log": "x" * 70_000})
    write_picture(picture, tmp_path / "out.png", metadata={"log": "x" * 70_000})


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_quality_out_of_range(quality: int, picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="quality"):
        write_picture(picture, tmp_path / "out.jpg", quality=quality)


def test_quality_changes_the_size(portrait: Picture, tmp_path: Path) -> None:
    small = Picture(portrait.pixels[:256, :256])
    sizes = [write_picture(small, tmp_path / f"{q}.jpg", quality=q).stat().st_size for q in (30, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[2] > 2 * sizes[0]


@pytest.mark.parametrize("extension", ["jpg", "webp"])
def test_sides_too_long_for_the_format(extension: str, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="pixels a side"):
        write_picture(Picture(np.zeros((1, 66_000, 3), np.uint8)), tmp_path / f"out.{extension}")


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_a_picture_that_no_one_swapped_carries_no_mark(tmp_path: Path, extension: str) -> None:
    photo = Picture(np.full((9, 12, 3), 77, np.uint8))
    path = write_picture(photo, tmp_path / f"outlined.{extension}", ai_made=False)
    assert read_mark(path) is None
    assert np.abs(read_picture(path).pixels.astype(int) - 77).max() <= 2
