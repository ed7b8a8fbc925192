"""The photo scanner: which photos there are, whose they are, and what can't be read."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from reliableswap.data.photos import list_photos, read_photo
from reliableswap.errors import PictureError, ReliableSwapError

_STREAM = io.BytesIO()
Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(_STREAM, "PNG")
PNG = _STREAM.getvalue()


def test_a_person_is_a_folder_and_a_flat_folder_means_all_different(tmp_path: Path) -> None:
    for name in (
        "ann/1.jpg",
        "ann/2.PNG",
        "flat/x.jpg",
        "small/x.jpg",
        "top.webp",
        "ann/notes.txt",
        ".git/3.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = {p.name: p.identity for p in list_photos(tmp_path, ["flat", "small"])}
    assert found == {
        "ann/1.jpg": "ann", "ann/2.PNG": "ann", "flat/x.jpg": "x", "small/x.jpg": "x", "top.webp": "top",
    }  # fmt: skip
    with pytest.raises(ReliableSwapError, match="--flat names nowhere"):
        list_photos(tmp_path, ["nowhere"])


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "far" / "bob").mkdir(parents=True)
    (tmp_path / "far" / "bob" / "1.jpg").write_bytes(b"")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "bob").symlink_to(tmp_path / "far" / "bob")
    (tmp_path / "near" / "loop").symlink_to(tmp_path / "near")
    assert [p.name for p in list_photos(tmp_path / "near")] == ["bob/1.jpg"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_says_path_and_identity(tmp_path: Path, kind: str) -> None:
    table = tmp_path / f"photos.{kind}"
    if kind == "csv":
        table.write_text("path,identity\nb.jpg,7\na.jpg,ann\n")
    else:
        pq.write_table(pa.table({"path": ["b.jpg", "a.jpg"], "identity": ["7", "ann"]}), table)
    found = list_photos(table)
    assert [(p.name, p.identity, p.path) for p in found] == [
        ("a.jpg", "ann", tmp_path / "a.jpg"),
        ("b.jpg", "7", tmp_path / "b.jpg"),
    ]


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("file,who\na.jpg,ann\n")
    with pytest.raises(ReliableSwapError, match="it needs path and identity"):
        list_photos(tmp_path / "photos.csv")
    with pytest.raises(ReliableSwapError, match="no pictures in"):
        list_photos(tmp_path)


def test_a_photo_is_read_again_after_a_moment(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), (1, 2, 3)).save(tmp_path / "ann.png")
    (photo,) = list_photos(tmp_path)
    (tmp_path / "ann.png").rename(tmp_path / "away")
    threading.Timer(0.05, lambda: (tmp_path / "away").rename(tmp_path / "ann.png")).start()
    assert read_photo(photo).tolist() == [[[1, 2, 3]] * 4] * 3


def test_a_file_that_stays_missing_is_an_os_error(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "ann.png")
    (photo,) = list_photos(tmp_path)
    photo.path.unlink()
    with pytest.raises(FileNotFoundError):
        read_photo(photo)


@pytest.mark.parametrize("content", [b"", b"text", PNG[:60], PNG[:-30]], ids=["empty", "text", "head", "cut"])
def test_content_that_is_no_picture_is_a_picture_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ann.png").write_bytes(content)
    (photo,) = list_photos(tmp_path)
    with pytest.raises(PictureError, match=r"ann\.png"):
        read_photo(photo)


def test_a_listed_photo_that_never_was_there_is_a_picture_error(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("path,identity\nnowhere.jpg,ann\n")
    (photo,) = list_photos(tmp_path / "photos.csv")
    with pytest.raises(PictureError, match="there is no file"):
        read_photo(photo)
