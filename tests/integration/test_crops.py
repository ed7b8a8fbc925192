"""Crops of photos and of triplets: aligned, kept in a file, and split by people."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.people import person

from reliableswap.data import crops as crops_module
from reliableswap.data.crops import CROP, Crops, crops_of_photos, crops_of_triplets
from reliableswap.data.splits import Split, holds_out
from reliableswap.data.storage import encode_picture
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import TEMPLATES
from reliableswap.faces.analysers.bundled import BundledAnalyser

SPLIT = Split()


def in_training(name: str) -> bool:
    return SPLIT.of(name) == "train" and not holds_out(name)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people to learn from and two held out, with two photos each; one more photo shows nobody."""
    folder = tmp_path_factory.mktemp("faces")
    names = [f"person{i}" for i in range(200)]
    chosen = [n for n in names if in_training(n)][:3] + [n for n in names if not in_training(n)][:2]
    for number, name in enumerate(chosen, start=1):
        (folder / name).mkdir()
        for picture in ("studio_portrait", "amateur_selfie"):
            image = cv2.imread(str(person(number, picture)))
            scale = 300 / max(image.shape[:2])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / name / f"{picture}.jpg"), small)
    cv2.imwrite(str(folder / chosen[0] / "wall.png"), np.full((200, 200, 3), 90, np.uint8))
    return folder


@pytest.fixture(scope="module")
def crops(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Crops:
    return crops_of_photos(photos, tmp_path_factory.mktemp("kept") / "crops.npy", (), SPLIT, workers=1)


def test_crops_are_aligned_faces_and_held_out_people_are_whole(crops: Crops, photos: Path) -> None:
    assert crops.found.sum() == 10
    assert not crops.found[[one.name == "wall.png" for one in crops_module.list_photos(photos)]].any()
    people = [{crops.shown[i].person for i in crops.rows(training)} for training in (True, False)]
    assert [len(p) for p in people] == [3, 2]
    assert not people[0] & people[1]
    analyser = BundledAnalyser()
    for row in crops.rows(True)[:2]:  # aligned: seen again, the five points lie where the template has them
        again = cv2.copyMakeBorder(np.array(crops.pixels[row]), *[32] * 4, cv2.BORDER_REPLICATE)
        off = analyser(again)[0].points5 - 32 - TEMPLATES["arcface_128"].at(CROP)
        assert np.abs(off).max() < 6


def test_the_cache_is_read_again_and_made_anew_when_a_photo_changes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def look(maker: object, units: list[tuple[int, list[object]]], workers: int):  # type: ignore[no-untyped-def]
        looked.append(len(units))
        for start, some in units:
            yield [(start + k, np.full((CROP, CROP, 3), k, np.uint8)) for k in range(len(some))]

    monkeypatch.setattr(crops_module, "make_all", look)
    table = tmp_path / "table.csv"
    names = sorted(str(p) for p in photos.rglob("*.jpg"))
    table.write_text("path,identity\n" + "".join(f"{n},{Path(n).parent.name}\n" for n in names[:4]))
    cache = tmp_path / "crops.npy"
    first = crops_of_photos(table, cache, (), SPLIT, 1)
    again = crops_of_photos(table, cache, (), SPLIT, 1)
    assert len(looked) == 1
    assert np.array_equal(first.pixels, again.pixels)
    table.write_text("path,identity\n" + "".join(f"{n},{Path(n).parent.name}\n" for n in names[:5]))
    assert len(crops_of_photos(table, cache, (), SPLIT, 1).shown) == 5
    assert len(looked) == 2
    cache.with_suffix(".json").unlink()  # as a run leaves it that was killed halfway
    crops_of_photos(table, cache, (), SPLIT, 1)
    assert len(looked) == 3


def test_a_table_says_whose_photos_are_held_out(photos: Path, tmp_path: Path) -> None:
    found = sorted(photos.rglob("*.jpg"))[:4] or sorted(photos.rglob("*.png"))[:4]
    out = next(f"p{i}" for i in range(100) if holds_out(f"p{i}"))
    kept = next(
        f"p{i}" for i in range(100) if not holds_out(f"p{i}") and SPLIT.of(f"p{i}") == "train"
    )
    table = tmp_path / "photos.csv"
    rows = [f"{path.resolve()},{out if i % 2 else kept}" for i, path in enumerate(found)]
    table.write_text("path,identity\n" + "\n".join(rows))
    crops = crops_of_photos(table, tmp_path / "crops.npy", [], SPLIT, 1)
    assert {one.person: one.training for one in crops.shown} == {out: False, kept: True}


def test_another_process_maps_the_crops_and_does_not_copy_them(crops: Crops) -> None:
    assert crops.pixels is not None
    sent = pickle.dumps(crops)
    assert len(sent) < 10_000 < crops.pixels.nbytes
    assert np.array_equal(pickle.loads(sent).pixels, crops.pixels)


def test_photos_of_flat_folders_are_nobodys_second_photo(tmp_path: Path) -> None:
    shown = [crops_module.Shown("00012", True, True)] * 2 + [crops_module.Shown("lfw/x", True, False)] * 2
    twins = Crops(tmp_path / "none.npy", shown, np.ones(4, bool), "")
    assert twins.people(range(4)) == {"lfw/x": [2, 3]}


def test_surrogates_come_without_those_of_held_out_people(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def picture(value: int) -> dict[str, bytes]:
        return {"bytes": encode_picture(np.full((64, 64, 3), value, np.uint8), "png")}

    rows = [("ann", "ben", 10, 20), ("ann", "cat", 30, 40), ("ben", "dan", 50, 60)]
    (tmp_path / "data").mkdir()
    for shard, some in enumerate((rows[:2], rows[2:])):
        table = [
            {"identity_a": a, "identity_b": b, "c_ab": picture(ab), "c_ba": picture(ba)}
            for a, b, ab, ba in some
        ]
        pq.write_table(pa.Table.from_pylist(table), tmp_path / "data" / f"train-{shard:05d}-of-00002.parquet")
    made = crops_of_triplets(tmp_path, tmp_path / "kept.npy", {"cat"})
    assert made.pixels[:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50, 60]
    assert made.rows(True).tolist() == [0, 1, 4, 5]
    with pytest.raises(ReliableSwapError, match="no shards"):
        crops_of_triplets(tmp_path / "data", tmp_path / "kept.npy", set())
