"""The plan of a run: what it knows of every photo, and what of it is sent to other processes."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from reliableswap.data.photo_list import PhotoList
from reliableswap.data.photos import Photo, ScannedPhoto
from reliableswap.data.records import Record, RecordCache
from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.units import Crew, Rank
from reliableswap.triplets.planning import Planner
from reliableswap.triplets.records import MEASURES, FaceKind
from reliableswap.triplets.run_plan import RunPlan
from reliableswap.triplets.settings import TripletSettings

PHOTOS = 60
SETTINGS = TripletSettings(pairs=40, split=Split(70, 0, 30))


@dataclass(frozen=True)
class MadeUp:
    """Derives a record from a photo's name; every tenth photo has no face."""

    vectors: bool
    recipe: str = "made up"
    columns: ClassVar[Mapping[str, pa.DataType]] = FaceKind.columns
    entry: ClassVar[np.dtype] = np.dtype([("name", "S12")])

    def __call__(self, photo: Photo) -> Record:
        number = int(photo.path.stem)
        if number % 10 == 9:
            return Record(None, {}, "no face", f"none in {photo.name}")
        rng = np.random.default_rng(number)
        columns = dict.fromkeys(MEASURES, 0.01) | {"sharpness": 0.3, "score": 0.9, "enlargement": 0.5}
        columns |= {"yaw": float(number) / 2, "light": rng.normal(size=3).tolist(), "hash": rng.bytes(32)}
        columns["embedding"] = (np.arange(4) + number).tolist() if self.vectors else None
        return Record(np.array((photo.name.encode(),), self.entry), columns)


def plan_of(folder: Path, vectors: bool) -> tuple[RunPlan, Planner]:
    found = (ScannedPhoto(f"P{i % 20:02d}/{i}.jpg", f"P{i % 20:02d}", i) for i in reversed(range(PHOTOS)))
    photos = PhotoList.of(Path("photos"), found).save(folder / "plan" / "photos.arrow")
    records = RecordCache(folder / "cache", MadeUp(vectors), photos)
    records.complete(Crew(Rank(), 1))
    planner = Planner(folder / "plan", photos, records, SETTINGS)
    assert not planner.done()
    planner()
    assert planner.done()
    return planner.plan, planner


@pytest.mark.parametrize("vectors", [False, True])
def test_a_plan_knows_every_photo_and_is_pickled_as_its_path(tmp_path: Path, vectors: bool) -> None:
    made, _ = plan_of(tmp_path, vectors)
    sent = pickle.dumps(made)
    assert len(sent) < 1000
    plan = pickle.loads(sent)
    assert len(plan.photos) == len(plan.faces) == PHOTOS
    assert (plan.vectors is not None) == vectors
    for i, photo in enumerate(plan.photos):
        number = photo.bytes
        face = plan.faces[i]
        assert (face["place"][0] < 0) == (number % 10 == 9)
        if number % 10 == 9:
            continue
        assert face["yaw"] == number / 2
        assert face["hash"].tobytes() == _hash(number)
        assert plan._entries[i]["name"].decode() == photo.name
        if vectors:
            assert plan.vectors[i].tolist() == [number, number + 1, number + 2, number + 3]
    with pytest.raises(ReliableSwapError, match="has no face"):
        plan.face(next(i for i, photo in enumerate(plan.photos) if photo.bytes == 9))


def _hash(number: int) -> bytes:
    rng = np.random.default_rng(number)
    rng.normal(size=3)
    return rng.bytes(32)


def test_pairs_follow_from_the_plan(tmp_path: Path) -> None:
    plan, _ = plan_of(tmp_path, True)
    assert sum(plan.slots.values()) == SETTINGS.pairs
    assert plan.dropped == {"no face": 6}
    assert sum(plan.members.values()) == PHOTOS - 6
    assert len(plan.people()) == 18  # no photo of two people shows a face
    for split, slots in plan.slots.items():
        pairs = plan.pairing(split, SETTINGS)
        for pair in map(pairs.pair, range(slots)):
            names = [plan.photos[i].identity for i in (pair.a, pair.b)]
            assert names[0] != names[1]
            assert {SETTINGS.split.of(name) for name in names} == {split}


def test_the_table_of_photos_says_what_became_of_each(tmp_path: Path) -> None:
    plan_of(tmp_path, False)
    rows = list(csv.DictReader((tmp_path / "photos.csv").open()))
    assert len(rows) == PHOTOS
    for row in rows:
        missing = int(Path(row["path"]).stem) % 10 == 9
        assert row["dropped"] == ("no face" if missing else "")
        assert row["message"] == (f"none in {row['path']}" if missing else "")
        assert row["split"] == SETTINGS.split.of(row["identity"])
        assert (row["yaw"] == "") == missing
