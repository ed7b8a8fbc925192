"""Pictures in and out: hostile files, round trips, the mark, and writing whole or not at all."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hostile import (
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
    rgba,
)
from PIL import Image, ImageFile

from reliableswap import __version__
from reliableswap.errors import PictureError
from reliableswap.media import Picture, check_output, read_picture, write_picture
from reliableswap.media import write as write_module
from reliableswap.provenance import Mark, mark_xmp, read_mark
from reliableswap.provenance.mark import SOURCE_TYPE, parse_xmp

EXTENSIONS = ["png", "jpg", "jpeg", "webp", "tif", "tiff"]


def quarters(plane: np.ndarray) -> list[np.ndarray]:
    height, width = plane.shape[:2]
    rows, columns = (height // 4, height - 1 - height // 4), (width // 4, width - 1 - width // 4)
    return [plane[y, x] for y in rows for x in columns]


@pytest.fixture
def picture() -> Picture:
    return Picture(four(), name="four")


@pytest.fixture
def portrait() -> Picture:
    openpeople = pytest.importorskip("openpeople")
    path = Path(openpeople.__file__).parent / "data/curated/P001/assets/studio_portrait.jpg"
    return read_picture(path)


# Reading


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


# Writing


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
    subprocess.run([sys.executable, "-c", "import reliableswap.provenance.mark"], check=True)
    subprocess.run([sys.executable, "-c", "import reliableswap.media.write"], check=True)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_a_picture_that_no_one_swapped_carries_no_mark(tmp_path: Path, extension: str) -> None:
    photo = Picture(np.full((9, 12, 3), 77, np.uint8))
    path = write_picture(photo, tmp_path / f"outlined.{extension}", ai_made=False)
    assert read_mark(path) is None
    assert np.abs(read_picture(path).pixels.astype(int) - 77).max() <= 2
