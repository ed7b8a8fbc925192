"""Pictures out: round trips, the mark, and writing whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.hostile import JPEG, SIZE, encoded, four, rgb, rgb_profile, rgba

from reliableswap import __version__
from reliableswap.errors import PictureError
from reliableswap.media import Picture, check_output, read_picture, write_picture
from reliableswap.media import write as write_module
from reliableswap.provenance import Mark, mark_xmp, read_mark
from reliableswap.provenance.metadata import SOURCE_TYPE, parse_xmp

EXTENSIONS = ["png", "jpg", "jpeg", "webp", "tif", "tiff"]


@pytest.fixture
def picture() -> Picture:
    return Picture(four(), name="four")


@pytest.fixture
def portrait() -> Picture:
    openpeople = pytest.importorskip("openpeople")
    path = Path(openpeople.__file__).parent / "data/curated/P001/assets/studio_portrait.jpg"
    return read_picture(path)


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
    assert mark == Mark(SOURCE_TYPE, f"ReliableSwap {__version__}", {"engine": "blend"})
    assert mark.ai_made


@pytest.mark.parametrize("extension", ["png", "webp", "tif"])
@pytest.mark.parametrize("opaque", [True, False])
def test_alpha_survives(extension: str, opaque: bool, tmp_path: Path) -> None:
    alpha = np.full(SIZE[::-1], 255, np.uint8) if opaque else np.asarray(rgba().getchannel("A"))
    path = tmp_path / f"out.{extension}"
    write_picture(Picture(four(), alpha), path)
    read = read_picture(path)
    if opaque and extension == "webp":  # WebP itself drops an alpha that hides nothing
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
            assert image.info["Software"] == f"ReliableSwap {__version__}"
        else:
            assert image.getexif()[305] == f"ReliableSwap {__version__}"
        if extension.startswith("tif"):
            assert SOURCE_TYPE.encode() in image.tag_v2[700]
            assert image.tag_v2.tagtype[700] == 1


def test_the_originals_exif_stays_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "SECRET-CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    source = read_picture(encoded(rgb(), "JPEG", exif=exif.tobytes(), **JPEG))
    for extension in EXTENSIONS:
        path = tmp_path / f"out.{extension}"
        write_picture(source, path)
        assert b"SECRET-CAMERA" not in path.read_bytes()


def test_pictures_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    path.write_bytes(encoded(rgb(), "PNG"))
    assert read_mark(path) is None
    camera = mark_xmp("Camera").replace(b"compositeWithTrainedAlgorithmicMedia", b"digitalCapture")
    path = tmp_path / "camera.jpg"
    path.write_bytes(encoded(rgb(), "JPEG", xmp=camera, **JPEG))
    mark = read_mark(path)
    assert mark is not None
    assert not mark.ai_made
    with pytest.raises(PictureError, match="no picture file"):
        read_mark(tmp_path / "missing.png")
    text = tmp_path / "text.png"
    text.write_text("nothing")
    with pytest.raises(PictureError, match="not a picture"):
        read_mark(text)


def test_a_mark_behind_the_pixels_of_a_png_is_found(picture: Picture, tmp_path: Path) -> None:
    path = write_picture(picture, tmp_path / "marked.png")
    content = path.read_bytes()
    start = content.index(b"iTXt") - 4
    size = 12 + int.from_bytes(content[start : start + 4], "big")
    end = content.rindex(b"IEND") - 4
    moved = content[:start] + content[start + size : end] + content[start : start + size] + content[end:]
    (tmp_path / "moved.png").write_bytes(moved)
    assert read_mark(tmp_path / "moved.png") == read_mark(path)
    for cut in range(end - size - 40, len(moved), 7):  # whatever is missing, there is an answer
        (tmp_path / "cut.png").write_bytes(moved[:cut])
        read_mark(tmp_path / "cut.png")


def test_mark_text_survives_xml() -> None:
    details = {"note": 'a < b & c > "d" é 犬\r\n', "engine": ""}
    mark = parse_xmp(mark_xmp("Soft <&> 1", details))
    assert mark == Mark(SOURCE_TYPE, "Soft <&> 1", details)
    attributes = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<r:Description xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" i:DigitalSourceType="'
        + SOURCE_TYPE.encode()
        + b'"/></r:RDF></x:xmpmeta>'
    )
    assert parse_xmp(attributes) == Mark(SOURCE_TYPE, "", {})
    as_resource = attributes.replace(
        b' i:DigitalSourceType="', b'><i:DigitalSourceType r:resource="'
    ).replace(b"/></r:RDF>", b"/></r:Description></r:RDF>")
    assert parse_xmp(as_resource) == Mark(SOURCE_TYPE, "", {})
    secure = parse_xmp(attributes.replace(b'Type="http:', b'Type="https:'))
    assert secure is not None
    assert secure.ai_made
    bomb = b'<!DOCTYPE a [<!ENTITY b "b">]>' + attributes
    hidden = b"\xfe\xff" + bomb.decode().encode("utf-16-be")  # the same bomb, where bytes don't show its name
    foreign = [b'<?xml version="1.0" encoding="' + name + b'"?>\xe9' for name in (b"shift_jis", b"none-such")]
    long = attributes.replace(b"/></r:RDF>", b"/>" + b" " * (1 << 20) + b"</r:RDF>")
    packets: list[object] = [
        None,
        b"",
        b"rubbish",
        attributes[:-5],
        bomb,
        b"\xff\xfe\0",
        hidden,
        long,
        (1, 2),
        7,
    ]
    for packet in packets + foreign:
        assert parse_xmp(packet) is None
    assert parse_xmp(b'<?xml version="1.0" encoding="UTF-8"?>\n' + attributes) == Mark(SOURCE_TYPE, "", {})


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.bmp", "BMP can't carry the mark"),
        ("out.gif", r"\.gif, which is not written; .*\.png, \.jpg"),
        ("out", "no extension"),
        ("out.png/", "is a folder"),
        ("nowhere/out.png", "folder does not exist"),
        ("folder.png", "is a folder"),
        ("pipe.png", "device, pipe or socket"),
        ("taken.png", "exists already"),
        ("dangling.png", "exists already"),
        ("a\0.png", "no possible file name"),
    ],
)
def test_outputs_that_are_refused(name: str, message: str, picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "out.png").mkdir()
    (tmp_path / "taken.png").write_bytes(b"precious")
    (tmp_path / "dangling.png").symlink_to("nothing.png")
    os.mkfifo(tmp_path / "pipe.png")
    before = sorted(tmp_path.iterdir())
    for refuse in (lambda p: check_output(p), lambda p: write_picture(picture, p)):
        with pytest.raises(PictureError, match=message) as caught:
            refuse(f"{tmp_path}/{name}")
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "taken.png").read_bytes() == b"precious"


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


def test_overwriting_keeps_permissions_and_links(picture: Picture, tmp_path: Path) -> None:
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_picture(picture, link, overwrite=True)
    assert link.is_symlink()
    np.testing.assert_array_equal(read_picture(real).pixels, four())
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_permissions_of_the_umask(picture: Picture, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_picture(picture, tmp_path / "out.png")
    finally:
        os.umask(before)
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failure_in_the_middle_leaves_nothing(
    failure: BaseException, overwrite: bool, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    if overwrite:
        path.write_bytes(b"precious")

    def half(self: Image.Image, stream: io.BytesIO, **options: object) -> None:
        stream.write(b"\x89PNG half a picture")
        assert len(list(tmp_path.iterdir())) == 1 + overwrite, "the half is a file of its own"
        raise failure

    monkeypatch.setattr(Image.Image, "save", half)
    expected = PictureError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_picture(picture, path, overwrite=overwrite)
    if isinstance(failure, OSError):
        assert "No space left" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == (["out.png"] if overwrite else [])
    if overwrite:
        assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(
    hard_links: bool, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    save = Image.Image.save

    def slowly(self: Image.Image, stream: io.BytesIO, **options: object) -> None:
        save(self, stream, **options)
        path.write_bytes(b"precious")

    def no_link(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Image.Image, "save", slowly)
    if not hard_links:
        monkeypatch.setattr(write_module.os, "link", no_link)
    with pytest.raises(PictureError, match="exists already"):
        write_picture(picture, path)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(write_module.os, "link", no_link)
    path = write_picture(picture, tmp_path / "out.png")
    np.testing.assert_array_equal(read_picture(path).pixels, four())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_a_picture_that_no_one_swapped_carries_no_mark(tmp_path: Path, extension: str) -> None:
    photo = Picture(np.full((9, 12, 3), 77, np.uint8))
    path = write_picture(photo, tmp_path / f"outlined.{extension}", ai_made=False)
    assert read_mark(path) is None
    assert np.abs(read_picture(path).pixels.astype(int) - 77).max() <= 2
