"""Files are written whole or not at all, and existing files are safe."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.picture_files import four

from reliableswap.errors import PictureError
from reliableswap.media import Picture, check_output, read_picture, write_picture


@pytest.fixture
def picture() -> Picture:
    return Picture(four(), name="four")


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

    def full(handle: int) -> None:
        assert len(list(tmp_path.iterdir())) == 1 + overwrite, "the draft is a file of its own"
        raise failure

    monkeypatch.setattr(os, "fsync", full)
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
        monkeypatch.setattr(os, "link", no_link)
    with pytest.raises(PictureError, match="exists already"):
        write_picture(picture, path)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_link)
    path = write_picture(picture, tmp_path / "out.png")
    np.testing.assert_array_equal(read_picture(path).pixels, four())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.bmp", "BMP can't carry the mark"),
        ("out.gif", r"\.gif, which can't be written; .*\.png, \.jpg"),
        ("out", "no extension"),
        ("out.png/", "is a folder"),
        ("nowhere/out.png", "folder does not exist"),
        ("folder.png", "is a folder"),
        ("pipe.png", "device, pipe or socket"),
        ("taken.png", "exists already"),
        ("dangling.png", "exists already"),
        ("a\0.png", "not a valid file name"),
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
