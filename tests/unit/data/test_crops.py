"""Crops of photos and of triplets: aligned, kept in files, and split by people."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.people import person

from reliableswap.data.cells import encode_picture
from reliableswap.data.crops import CROP, Crops, Shown, crops_of_photos, crops_of_triplets
from reliableswap.data.mapped import MappedRows
from reliableswap.data.photos import list_photos
from reliableswap.data.splits import Split, holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import TEMPLATES
from reliableswap.faces.analysers.bundled import BundledAnalyser

SPLIT = Split()


def in_training(name: str) -> bool:
    return SPLIT.of(name) == "train" and not holds_out(name)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos each of three training and two held-out people, and one photo without a face."""
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
    return crops_of_photos(photos, tmp_path_factory.mktemp("crops"), (), SPLIT, workers=1)


def test_held_out_people_are_held_out_with_all_their_photos(crops: Crops) -> None:
    people = [{crops.shown[i].person for i in crops.rows(training)} for training in (True, False)]
    assert [len(p) for p in people] == [3, 2]
    assert not people[0] & people[1]


def test_a_photo_without_a_face_has_no_crop(crops: Crops, photos: Path) -> None:
    assert crops.found.tolist() == [not one.name.endswith("wall.png") for one in list_photos(photos)]


def test_crops_are_aligned(crops: Crops) -> None:
    analyser = BundledAnalyser()
    for row in crops.rows(True)[:2]:  # found again, the five points lie where the template has them
        again = cv2.copyMakeBorder(np.array(crops.pixels[row]), *[32] * 4, cv2.BORDER_REPLICATE)
        off = analyser(again)[0].points5 - 32 - TEMPLATES["arcface_128"].at(CROP)
        assert np.abs(off).max() < 6


def test_crops_are_made_once(crops: Crops, photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in crops.folder.iterdir()}
    again = crops_of_photos(photos, crops.folder, (), SPLIT, workers=1)
    assert {path: path.stat().st_mtime_ns for path in crops.folder.iterdir()} == before
    assert again.key == crops.key
    rows = np.flatnonzero(again.found)
    assert np.array_equal(again.pixels[rows], crops.pixels[rows])


def test_a_table_says_whose_photos_are_held_out(crops: Crops, photos: Path, tmp_path: Path) -> None:
    found = sorted(photos.rglob("*.jpg"))[:4]
    out = next(f"p{i}" for i in range(100) if holds_out(f"p{i}"))
    kept = next(f"p{i}" for i in range(100) if in_training(f"p{i}"))
    table = tmp_path / "photos.csv"
    rows = [f"{path.resolve()},{out if i % 2 else kept}" for i, path in enumerate(found)]
    table.write_text("path,identity\n" + "\n".join(rows))
    of_table = crops_of_photos(table, tmp_path / "crops", [], SPLIT, 1)
    assert {one.person: one.training for one in of_table.shown} == {out: False, kept: True}
    assert of_table.key != crops.key


def test_another_process_maps_the_crops_and_does_not_copy_them(crops: Crops) -> None:
    rows = np.flatnonzero(crops.found)
    assert crops.pixels[rows].nbytes > 400_000
    sent = pickle.dumps(crops)
    assert len(sent) < 10_000
    assert np.array_equal(pickle.loads(sent).pixels[rows], crops.pixels[rows])


def test_photos_of_flat_folders_do_not_count_as_photos_of_one_person(tmp_path: Path) -> None:
    shown = [Shown("00012", True, True)] * 2 + [Shown("lfw/x", True, False)] * 2
    copies = Crops(tmp_path, shown, np.ones(4, bool), MappedRows([], np.zeros((4, 2), np.int64)), "")
    assert copies.people(range(4)) == {"lfw/x": [2, 3]}


@pytest.mark.parametrize("by_split", [True, False])
def test_surrogates_of_held_out_people_are_left_out(tmp_path: Path, by_split: bool) -> None:
    def picture(value: int) -> dict[str, bytes]:
        return {"bytes": encode_picture(np.full((64, 64, 3), value, np.uint8), "png")}

    names = [f"person{i}" for i in range(300)]
    split = Split(50, 25, 25) if by_split else SPLIT
    ann, ben, dan = [name for name in names if in_training(name) and not split.holds_out(name)][:3]
    held_out = [n for n in names if (in_training(n) and split.holds_out(n) if by_split else holds_out(n))]
    cat = f"lfw/{held_out[0]}"  # the last part of the name decides the split
    rows = [(ann, ben, 10, 20), (ann, cat, 30, 40), (ben, dan, 50, 60)]
    (tmp_path / "data").mkdir()
    for shard, some in enumerate((rows[:2], rows[2:])):
        table = [
            {"identity_a": a, "identity_b": b, "c_ab": picture(ab), "c_ba": picture(ba)}
            for a, b, ab, ba in some
        ]
        pq.write_table(pa.Table.from_pylist(table), tmp_path / "data" / f"train-{shard:05d}-of-00002.parquet")
    made = crops_of_triplets(tmp_path, tmp_path / "kept", split)
    assert made.pixels[np.arange(6)][:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50, 60]
    assert made.rows(True).tolist() == [0, 1, 4, 5]
    with pytest.raises(ReliableSwapError, match="no shards"):
        crops_of_triplets(tmp_path / "data", tmp_path / "kept", split)
