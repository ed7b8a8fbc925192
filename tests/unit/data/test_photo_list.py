"""Lists of photos as columns."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from reliableswap.data import photo_list
from reliableswap.data.photo_list import PhotoList, scan_photos
from reliableswap.data.photos import ScannedPhoto, list_photos
from reliableswap.errors import ReliableSwapError

NAMES = [
    "zoë/1.jpg",
    "ann/2.jpg",
    "ann/1.jpg",
    "Bob/x.png",
    "ann/sub/3.jpg",
    "top.webp",
    "bar/11.jpg",
    "bar/2.jpg",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for size, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return tmp_path / "photos"


@pytest.mark.parametrize("chunk", [3, 1000])
def test_a_list_holds_what_objects_would(folder: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_list, "_CHUNK", chunk)
    plain = list_photos(folder)
    for photos in (scan_photos(folder), scan_photos(folder).save(folder.parent / "photos.arrow")):
        assert list(photos) == plain
        assert photos[-1] == plain[-1]
        assert photos[2:5] == plain[2:5]
        with pytest.raises(IndexError):
            photos[len(plain)]
        assert list(photos.names(np.array([4, 1]))) == [plain[4].name, plain[1].name]
        people = sorted({photo.identity for photo in plain})
        assert photos.people.to_pylist() == people
        assert [people[k] for k in photos.person] == [photo.identity for photo in plain]
        text = "\n".join(f"{p.name}\t{p.identity}\t{p.bytes}" for p in plain)
        assert photos.digest == hashlib.sha256(text.encode()).hexdigest()
        assert list(pickle.loads(pickle.dumps(photos))) == plain


def test_a_saved_list_is_pickled_as_its_path(folder: Path) -> None:
    photos = scan_photos(folder).save(folder.parent / "photos.arrow")
    assert b"Bob" not in pickle.dumps(photos)
    assert b"Bob" in pickle.dumps(scan_photos(folder))


def test_a_name_that_comes_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("path,identity\nb.jpg,7\na.jpg,ann\nb.jpg,8\n")
    for read in (scan_photos, list_photos):
        with pytest.raises(ReliableSwapError, match=r"lists b\.jpg twice"):
            read(tmp_path / "photos.csv")


def test_a_list_of_one_photo_has_no_duplicate_name(tmp_path: Path) -> None:
    assert PhotoList.of(tmp_path, [ScannedPhoto("a.jpg", "a")]).first_duplicate() is None
