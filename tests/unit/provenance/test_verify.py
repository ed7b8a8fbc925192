"""Reading a mark from files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo
from support.picture_files import JPEG, encoded, four, frames_of, rgb

from reliableswap.errors import PictureError
from reliableswap.media import Picture, write_picture
from reliableswap.provenance import mark_xmp, read_mark
from reliableswap.provenance.verify import verify


@pytest.fixture
def picture() -> Picture:
    return Picture(four(), name="four")


def test_pictures_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    path.write_bytes(encoded(rgb(), "PNG"))
    assert read_mark(path) is None
    camera = mark_xmp(software="Camera").replace(b"compositeWithTrainedAlgorithmicMedia", b"digitalCapture")
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
    for cut in range(end - size - 40, len(moved), 7):  # wherever the file is cut off, there is an answer
        (tmp_path / "cut.png").write_bytes(moved[:cut])
        read_mark(tmp_path / "cut.png")


def test_our_own_pictures_are_distinguished_from_others(picture: Picture, tmp_path: Path) -> None:
    ours = verify(write_picture(picture, tmp_path / "ours.png", metadata={"engine": "blend"}))
    assert (ours.ai_made, ours.made_here) == (True, True)
    assert ours.to_dict()["details"] == {"engine": "blend"}
    theirs = verify(encoded(rgb(), "PNG", pnginfo=xmp_chunk(mark_xmp(software="OtherSwapper 1"))))
    assert (theirs.ai_made, theirs.made_here) == (True, False)
    plain = verify(encoded(rgb(), "PNG"))
    assert (plain.marked, plain.ai_made, plain.made_here) == (False, False, False)
    assert plain.verdict == "No mark was found."


def test_errors_use_the_given_name(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_text("nothing")
    with pytest.raises(PictureError, match=r"^mine\.png is not a picture"):
        verify(tmp_path / "secret.png", name="mine.png")


def xmp_chunk(packet: bytes) -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    return info


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_the_reason_for_unread_pixels_reveals_no_path(form: str, tmp_path: Path) -> None:
    path = tmp_path / "secret.bin"
    path.write_bytes(frames_of(form))
    unread = verify(path, name="mine.gif").unread
    assert unread is not None
    assert unread.startswith("mine.gif holds more than one frame")
    assert str(tmp_path) not in unread


def test_a_picture_over_the_limit_is_reported_as_too_large(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(rgb(), "PNG"))
    unread = verify(path, name="mine.png", max_pixels=10).unread
    assert unread is not None
    assert unread.startswith("mine.png has ")
    assert "are checked" in unread
    assert "max_pixels" not in unread
