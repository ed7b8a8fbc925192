"""Described faces of photos."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.people import person

from reliableswap.cli.main import main
from reliableswap.data.describe.attributes import ATTRIBUTES
from reliableswap.data.describe.build import DescribeSettings, describe_photos
from reliableswap.data.describe.language import wording
from reliableswap.data.describe.measures import MEASURES, DescribedKind, smile_of
from reliableswap.data.describe.rows import read_rows
from reliableswap.data.photos import Photo
from reliableswap.data.records import Record
from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.topology import topology


@pytest.mark.slow
def test_describing_photos_again_gives_the_same_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 3):
        place = tmp_path / "photos" / "flat" / f"p{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(person(number), place)
    (tmp_path / "photos" / "flat" / "none.png").write_bytes(person(1).read_bytes()[:100])
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"p1": {"age": 70.0, "facialHair": {}, "gender": "male"}}))
    command = ["describe-data", str(tmp_path / "photos"), "--flat", "flat", "--quiet", "--split", "100/0/0"]
    command += ["--labels", f"flat={labels}"]
    assert main([*command, "-o", str(tmp_path / "one")]) == 0
    assert "unreadable 1" in capsys.readouterr().err
    assert main([*command, "-o", str(tmp_path / "two"), "--cache", str(tmp_path / "one" / "cache")]) == 0
    shards = [sorted((tmp_path / name / "data").iterdir()) for name in ("one", "two")]
    assert [one.read_bytes() for one in shards[0]] == [one.read_bytes() for one in shards[1]]
    found = [read_rows(tmp_path / "one", shard.name.split("-")[0]) for shard in shards[0]]
    rows = {photo: own.attributes[i] for own in found for i, photo in enumerate(own.photos)}
    assert len(rows) == 3
    assert rows["flat/p1.jpg"]["age"] == "old"
    assert all(own["pose"] == "front" for own in rows.values() if "pose" in own)
    assert "| gender |" in (tmp_path / "one" / "README.md").read_text()


def test_a_row_repeats_its_own_wording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(kind: DescribedKind, photo: Photo) -> Record:
        man = photo.name == "a.png"
        measures = dict.fromkeys(MEASURES) | {"male": float(man), "years": 25.0, "smile": 0.1, "yaw": 30.0}
        return Record(np.zeros((), kind.entry), {**measures, "mouth": 0.3, "beard": 0.2, "glasses": -3.0})

    monkeypatch.setattr(DescribedKind, "__call__", record)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(person(1), photos / name)
    labels = {"": {"b": {"gender": "female", "facialHair": {}, "smile": 0.0, "age": 70.0}}}
    settings = DescribeSettings(split=Split(100, 0, 0), seed=3, captions=5, rounds=2)
    describe_photos(photos, tmp_path / "out", settings, labels=labels)
    files = (tmp_path / "out" / "data").iterdir()
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len({row["seed"] for row in rows}) == 2
    for row in rows:
        attributes = {name: row[name] for name in ATTRIBUTES if row[name] is not None}
        rounds = max(Counter(one["attribute"] for one in row["questions"]).values())
        captions, asked = wording(attributes, row["seed"], len(row["captions"]), rounds)
        assert captions == row["captions"]
        assert [vars(one) for one in asked] == row["questions"]
        assert wording(attributes, row["seed"] + 1, 5, 2)[0] != captions


def test_photos_without_faces_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["describe-data", str(tmp_path), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    assert "can be described" in capsys.readouterr().err


def test_labels_are_given_by_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe-data", str(tmp_path), "-o", str(tmp_path / "o"), "--labels", "x.json"]) == 2
    assert "is not FOLDER=FILE" in capsys.readouterr().err


def test_settings_are_checked() -> None:
    assert str(DescribeSettings().split) == str(Split())
    with pytest.raises(ReliableSwapError, match="--per-person is 0"):
        DescribeSettings(per_person=0)


def test_corners_of_the_mouth_that_rise_are_a_smile() -> None:
    mesh = topology().canonical.astype("float32").copy()
    before = smile_of(mesh)
    mesh[[61, 291], 1] -= 0.05  # upwards
    assert smile_of(mesh) > before + 0.05
