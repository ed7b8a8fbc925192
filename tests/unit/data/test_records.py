"""The record cache: which photos are processed again, and which are not."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from reliableswap.data import buckets
from reliableswap.data.buckets import Bucket
from reliableswap.data.photo_list import scan_photos
from reliableswap.data.photos import Photo, list_photos, read_photo
from reliableswap.data.records import Record, RecordCache, Records
from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.units import Crew, Rank

COLOURS = {"ann/1.png": 10, "ann/2.png": 20, "bob/1.png": 30, "bob/2.png": 40}


@dataclass(frozen=True)
class MeanColour:
    """Records a photo's mean colour; notes the photos that it was given."""

    seen: list[str] = field(default_factory=list, compare=False)
    recipe: str = "mean"
    columns: ClassVar[Mapping[str, pa.DataType]] = {"width": pa.int64()}
    entry: ClassVar[np.dtype] = np.dtype(("f4", (3,)))

    def __call__(self, photo: Photo) -> Record:
        self.seen.append(photo.name)
        pixels = read_photo(photo)
        if not pixels.any():
            raise ArithmeticError("black")
        return Record(pixels.mean((0, 1), np.float32), {"width": pixels.shape[1]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in COLOURS.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (value, 0, 0)).save(path)
    return tmp_path / "photos"


def complete(
    folder: Path, recipe: str = "mean", crew: Crew[Bucket] | None = None
) -> tuple[Records, list[str]]:
    """Complete the cache; return the records of a folder's photos and the names of those that were processed."""
    kind = MeanColour(recipe=recipe)
    cache = RecordCache(folder.parent / "cache", kind, list_photos(folder))
    cache.complete(crew or Crew(Rank(), 1))
    return Records(cache), sorted(kind.seen)


def test_records_are_made_once_and_read_back(folder: Path) -> None:
    records, seen = complete(folder)
    assert seen == sorted(COLOURS)
    again, seen = complete(folder)
    assert seen == []
    for one in (records, again):
        assert one.found.all()
        assert [float(one.entries[i][0]) for i in range(4)] == [COLOURS[p.name] for p in one.photos]


def test_only_new_and_changed_photos_are_processed_again(folder: Path) -> None:
    complete(folder)
    shutil.copy(folder / "ann/1.png", folder / "ann/3.png")
    Image.new("RGB", (16, 8), (99, 0, 0)).save(folder / "bob/1.png")
    records, seen = complete(folder)
    assert seen == ["ann/3.png", "bob/1.png"]
    found = {p.name: float(records.entries[i][0]) for i, p in enumerate(records.photos)}
    assert found == COLOURS | {"ann/3.png": 10, "bob/1.png": 99}


def test_with_another_recipe_all_are_processed_again(folder: Path) -> None:
    complete(folder)
    assert complete(folder, "other")[1] == sorted(COLOURS)


def test_a_file_that_is_no_picture_is_known_as_such(folder: Path) -> None:
    (folder / "ann/2.png").write_bytes(b"no picture")
    complete(folder)
    records, seen = complete(folder)
    assert seen == []
    assert records.reasons == ["", "unreadable", "", ""]
    assert "2.png" in records.messages[1]
    assert records.found.tolist() == [True, False, True, True]


def test_a_failure_of_one_photo_stops_nothing(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "ann/2.png")
    records, _ = complete(folder)
    assert records.reasons[1] == "failed"
    assert records.messages[1] == "ArithmeticError: black"
    assert complete(folder)[1] == []


def test_a_photo_that_can_not_be_read_now_is_read_at_the_next_start(folder: Path) -> None:
    kind = MeanColour()
    cache = RecordCache(folder.parent / "cache", kind, list_photos(folder))
    away = folder.parent / "away.png"
    (folder / "ann/2.png").rename(away)  # listed, and gone when it is read
    with pytest.raises(ReliableSwapError, match=r"1 photos could not be read: ann/2.png \(.*No such file"):
        cache.complete(Crew(Rank(), 1))
    assert sorted(kind.seen) == sorted(COLOURS)
    away.rename(folder / "ann/2.png")
    records, seen = complete(folder)
    assert seen == ["ann/2.png"]
    assert records.found.all()


def test_ranks_share_the_photos(folder: Path) -> None:
    kinds = [MeanColour(), MeanColour()]
    for rank in (1, 0):
        cache = RecordCache(folder.parent / "cache", kinds[rank], list_photos(folder))
        buckets = list(cache.buckets)
        list(Crew(Rank(rank, 2), 1).make_own(cache, buckets, cache.done))
    assert sorted(kinds[0].seen + kinds[1].seen) == sorted(COLOURS)
    assert kinds[0].seen
    assert kinds[1].seen
    assert complete(folder)[1] == []


def test_a_list_that_grows_keeps_its_records(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete(folder)
    monkeypatch.setattr(buckets, "_PHOTOS_PER_BUCKET", 0.01)  # as if there were far more photos: 512 buckets
    shutil.copy(folder / "ann/1.png", folder / "ann/3.png")
    records, seen = complete(folder)
    assert seen == ["ann/3.png"]
    assert records.found.all()
    assert {path.name.split("-")[3] for path in (folder.parent / "cache").iterdir()} == {"00512"}
    assert complete(folder)[1] == []


def test_records_of_earlier_versions_are_taken_over(folder: Path) -> None:
    complete(folder)
    for path in sorted((folder.parent / "cache").iterdir()):  # faces-00012-of-00256-KEY.parquet
        _, number, _, _, rest = path.name.split("-")
        key, kind = rest.split(".")
        path.rename(
            path.with_name(
                f"faces-{number[2:]}.parquet" if kind == "parquet" else f"faces-{number[2:]}-{key}.npy"
            )
        )
    records, seen = complete(folder)
    assert seen == []
    assert [float(records.entries[i][0]) for i in range(4)] == [COLOURS[p.name] for p in records.photos]


def test_other_processes_are_sent_a_bucket_without_the_photo_list(folder: Path) -> None:
    photos = scan_photos(folder).save(folder.parent / "photos.arrow")
    cache = RecordCache(folder.parent / "cache", MeanColour(), photos)
    assert [one.key for one in cache.buckets] == [
        one.key for one in RecordCache(folder.parent, MeanColour(), list_photos(folder)).buckets
    ]
    assert cache.key == RecordCache(folder.parent, MeanColour(), list_photos(folder)).key
    sent = pickle.dumps(cache)
    assert b"ann/1" not in sent
    for bucket in cache.buckets:
        pickle.loads(sent)(pickle.loads(pickle.dumps(bucket)))
    assert all(map(cache.done, cache.buckets))
