"""Whole runs of the triplet factory: the same bytes from any number of processes, resume, the command."""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import settings
from support import onnx_files
from support.triplet_people import SETTINGS, SIZE, Known, aligned, all_rows, shard_bytes

from reliableswap.bundled import bundled
from reliableswap.cli import triplets as command
from reliableswap.data.jobs import Crew, Place
from reliableswap.data.splits import Split
from reliableswap.data.storage import decode_mesh, decode_picture, read_about
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.align import TEMPLATES
from reliableswap.faces.face import five_points
from reliableswap.models.identity import IdentityEncoder
from reliableswap.provenance import read_mark
from reliableswap.triplets.card import card_text
from reliableswap.triplets.encode import EncoderChoice
from reliableswap.triplets.factory import make_triplets
from reliableswap.triplets.settings import QualitySettings, TripletSettings

few = settings(max_examples=25, deadline=None, derandomize=True)


def test_a_run_makes_what_it_says(made: Path) -> None:
    rows = all_rows(made)
    abouts = [read_about(path) for path in sorted((made / "data").iterdir())]
    assert len(rows) == sum(about["kept"] for about in abouts) >= 12
    assert sum(about["slots"][1] - about["slots"][0] for about in abouts) == 14
    assert {about["split"] for about in abouts} == {"train", "test"}
    for row in rows:
        assert row["identity_a"] != row["identity_b"]
        split = row["id"].split("-")[0]
        assert {SETTINGS.split.of(row[f"identity_{s}"]) for s in "ab"} == {split}
        for side in "ab":
            other = row[f"photo_other_{side}"]
            assert other != row[f"photo_{side}"]
            assert other.startswith(f"{row[f'identity_{side}']}/")
        c_a, c_ab = (decode_picture(row[name]["bytes"]).astype(int) for name in ("c_a", "c_ab"))
        assert c_a.shape == c_ab.shape == (SIZE, SIZE, 3)
        assert np.abs(c_a - c_ab).mean() > 1
        # Stored meshes fit their pictures: eyes and mouth are where the template has them.
        for name in ("a", "b", "other_a"):
            points = five_points(decode_mesh(row[f"mesh_{name}"]))
            assert np.abs(points - TEMPLATES["arcface_128"].at(SIZE)).max() < 0.06 * SIZE
        assert 0.6 <= row["shown_ab"] <= 1
        assert json.loads(row["settings_ab"]) != json.loads(row["settings_ba"])
        assert row["v_id_a"] is None
    columns = json.loads(pq.read_schema(next((made / "data").iterdir())).metadata[b"huggingface"])
    assert columns["info"]["features"]["c_ab"] == {"_type": "Image"}


def test_bad_photos_are_listed_and_counted(made: Path) -> None:
    lines = (made / "photos.csv").read_text().splitlines()
    assert len(lines) == 23
    broken = next(line for line in lines if line.startswith("P001/broken.jpg"))
    assert ",unreadable," in broken
    assert "broken.jpg" in broken.split(",unreadable,")[1]
    assert ",no face," in next(line for line in lines if "wall.png" in line)
    card = (made / "README.md").read_text()
    assert "license: cc0-1.0" in card
    assert "unreadable 1" in card
    assert "the filter on identity was off" in card
    sheet = cv2.imread(str(made / "contact_sheet.jpg"))
    assert sheet.shape[1] == 4 * (4 * 128 + 8)
    assert sheet.std() > 30


def test_the_number_of_processes_changes_nothing(
    made: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    make_triplets(people[0], tmp_path, SETTINGS, analyser=people[1], workers=2, progress=False)
    assert shard_bytes(tmp_path) == shard_bytes(made)


def test_ranks_share_the_work_and_change_nothing(
    made: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    # The second rank needs the first one's records; it waits, and takes over what nobody makes.
    args = {"analyser": people[1], "progress": False, "cache": made / "cache"}
    second = make_triplets(people[0], tmp_path, SETTINGS, place=Place(1, 2), **args)
    half = shard_bytes(tmp_path)
    assert set(half) == {tally.shard.name for tally in second.tallies}
    assert 0 < len(half) < second.shards
    assert not (tmp_path / "README.md").exists()
    first = make_triplets(people[0], tmp_path, SETTINGS, place=Place(0, 2), **args)
    assert len(first.tallies) + len(second.tallies) == first.shards
    assert shard_bytes(tmp_path) == shard_bytes(made)
    assert (tmp_path / "README.md").exists()


class Ticks:
    """A maker that notes what it made."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, unit: int) -> int:
        self.made.append(unit)
        return unit


def test_a_rank_waits_for_the_others_work() -> None:
    maker, other = Ticks(), Ticks()
    crew: Crew[int] = Crew(Place(0, 2), 1, patience=60, look_every=0.01)
    thread = threading.Timer(0.1, lambda: [other(unit) for unit in (1, 3, 5)])
    thread.start()
    made = crew.complete(maker, range(6), lambda unit: unit in maker.made + other.made, wait=True)
    assert list(made) == [0, 2, 4]
    assert other.made == [1, 3, 5]


def test_a_rank_that_died_does_not_stop_the_others() -> None:
    maker = Ticks()
    crew: Crew[int] = Crew(Place(1, 2), 1, patience=0.05, look_every=0.01)
    made = list(crew.complete(maker, range(6), maker.made.__contains__, wait=True))
    assert made[:3] == [1, 3, 5]
    assert sorted(made) == list(range(6))
    without = Ticks()
    assert list(crew.complete(without, range(6), without.made.__contains__, wait=False)) == [1, 3, 5]


def test_the_place_comes_from_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Place.from_environment() == Place(0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Place.from_environment() == Place(3, 8)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReliableSwapError, match="RANK is 3 of WORLD_SIZE 2"):
        Place.from_environment()


def test_killed_and_started_again_it_goes_on(
    made: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    work = partial(make_triplets, people[0], tmp_path, SETTINGS, analyser=people[1], progress=False)
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("data/*.parquet")):
        assert child.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("data/[!.]*.parquet")}
    assert done.keys() < {tmp_path / "data" / name for name in shard_bytes(made)}

    leftover = tmp_path / "data" / ".train-00001-of-00003.parquet.1234.tmp"
    leftover.write_bytes(b"half a shard")
    os.utime(leftover, (0, 0))
    report = work()
    assert len(report.tallies) == report.shards - len(done)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert shard_bytes(tmp_path) == shard_bytes(made)


def test_finished_photos_are_not_looked_at_again(people: tuple[Path, partial[Known]], tmp_path: Path) -> None:
    import shutil

    photos = tmp_path / "photos"
    shutil.copytree(people[0], photos)
    seen = people[0].parent / "seen.txt"
    args = {"analyser": people[1], "progress": False, "cache": tmp_path / "cache"}
    make_triplets(photos, tmp_path / "one", SETTINGS, **args)
    before = len(seen.read_text().splitlines())
    again = make_triplets(photos, tmp_path / "one", SETTINGS, **args)
    assert again.tallies == []
    assert len(seen.read_text().splitlines()) == before

    # One more photo: only that one is new. But the run that is under way must not change under its own feet.
    shutil.copy(photos / "P003" / "studio_portrait.png", photos / "P003" / "twin.png")
    with pytest.raises(ReliableSwapError, match="begun with other photos; give another output folder"):
        make_triplets(photos, tmp_path / "one", SETTINGS, **args)
    report = make_triplets(photos, tmp_path / "two", SETTINGS, **args)
    assert len(seen.read_text().splitlines()) == before + 1
    assert report.photos == {"no face": 1, "unreadable": 1, "duplicate": 1}
    with pytest.raises(ReliableSwapError, match="begun with other seed"):
        make_triplets(photos, tmp_path / "two", dataclasses.replace(SETTINGS, seed=1), **args)


def test_an_encoder_fills_vectors_and_drops_pairs(
    people: tuple[Path, partial[Known]], made: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    IdentityEncoder().save_pretrained(tmp_path / "encoder")
    choice = EncoderChoice(tmp_path / "encoder")
    # An untrained encoder finds all faces alike, so a tight limit drops everything, and a loose one nothing.
    loose = dataclasses.replace(SETTINGS, pairs=4, split=Split(1, 0, 0))
    tight = dataclasses.replace(loose, filter=dataclasses.replace(SETTINGS.filter, max_to_target=0.2))
    args = {"analyser": people[1], "encoder": choice, "progress": False, "cache": tmp_path / "cache"}
    kept = make_triplets(people[0], tmp_path / "loose", loose, **args)
    assert set(kept.drops) <= {"given up", "like target"}
    for row in all_rows(tmp_path / "loose"):
        vectors = {name: np.array(row[f"v_id_{name}"]) for name in ("a", "b", "ab", "ba")}
        assert all(np.linalg.norm(v) == pytest.approx(1, abs=1e-5) for v in vectors.values())
        assert row["ab_to_b"] == pytest.approx(float(vectors["ab"] @ vectors["b"]), abs=1e-5)
        assert row["ba_to_b"] == pytest.approx(float(vectors["ba"] @ vectors["b"]), abs=1e-5)
    nothing = make_triplets(people[0], tmp_path / "tight", tight, **args)
    assert nothing.kept == 0
    assert nothing.drops["like target"] == nothing.attempts == 4 * SETTINGS.pairing.tries
    assert nothing.drops["given up"] == 4
    with pytest.raises(ReliableSwapError, match="hold no rows"):
        TripletDataset(tmp_path / "tight")
    with pytest.raises(WeightsError, match="no identity encoder at"):
        EncoderChoice(tmp_path / "none").load()


def test_an_encoder_in_bfloat16_says_nearly_the_same(tmp_path: Path) -> None:
    crops = [aligned(n).crop for n in (1, 2, 3)]
    exact, rounded = (EncoderChoice(bundled("identity"), precision=p).load() for p in ("float32", "bfloat16"))
    assert rounded.label == f"{exact.label} bfloat16"
    assert EncoderChoice(bundled("identity"), precision="auto").load().label in {exact.label, rounded.label}
    one, other = exact(crops), rounded(crops)
    assert (one * other).sum(1).min() > 0.99
    assert not np.array_equal(one, other)
    assert np.abs(one @ one.T - other @ other.T).max() < 0.02
    with pytest.raises(ReliableSwapError, match="precision is float8"):
        EncoderChoice(bundled("identity"), precision="float8")


def test_an_onnx_encoder_sees_the_identity_window(tmp_path: Path) -> None:
    path = onnx_files.mean_colour(tmp_path / "mean.onnx", 112)
    encoder = EncoderChoice(path, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)).load()
    crops = [aligned(n).crop for n in (1, 2)]
    for crop_, found in zip(crops, encoder(crops), strict=True):
        shown = (crop_[0:112, 8:120].reshape(-1, 3).mean(0) / 255 - (0.1, 0.2, 0.3)) / (0.5, 1.0, 2.0)
        assert found == pytest.approx(shown / np.linalg.norm(shown), abs=1e-4)


def test_too_few_people_is_an_error_that_says_why(
    people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    strict = dataclasses.replace(SETTINGS, quality=QualitySettings(min_sharpness=5.0))
    with pytest.raises(ReliableSwapError, match=r"no split has two people to pair .*20 blurred"):
        make_triplets(people[0], tmp_path, strict, analyser=people[1], progress=False)


def test_the_command_makes_triplets_with_the_bundled_analyser(
    people: tuple[Path, partial[Known]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = ["-o", str(tmp_path / "out"), "--size", "64", "--pairs", "3", "--split", "1/0/0", "--quiet"]
    arguments += [
        "--preview",
        str(tmp_path / "sheet.png"),
        "--encoder",
        "none",
        "--max-covered",
        "1",
        "--min-sharpness",
        "0",
    ]
    assert command.run(parser.parse_args([str(people[0]), *arguments])) == 0
    assert "kept 3 pairs of" in capsys.readouterr().err
    for row in all_rows(tmp_path / "out"):
        points = five_points(decode_mesh(row["mesh_a"]))
        assert np.abs(points - TEMPLATES["arcface_128"].at(64)).max() < 4
    assert read_mark(tmp_path / "sheet.png").ai_made
    with pytest.raises(ReliableSwapError, match="neither one number nor three"):
        command.run(
            parser.parse_args([str(people[0]), *arguments, "--encoder", "x", "--encoder-mean", "1,2"])
        )


def test_the_command_has_the_defaults_of_the_settings() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args(["photos", "-o", "out"])
    assert command.settings_of(arguments) == TripletSettings()
    arguments = parser.parse_args(
        ["photos", "-o", "out", "--size", "256", "--pairs", "7", "--split", "80/10/10", "--girth", "0.1",
         "--max-turn", "inf", "--min-to-source", "0.4", "--duplicate-bits", "3"]
    )  # fmt: skip
    found = command.settings_of(arguments)
    assert (found.size, found.pairs, found.split) == (256, 7, Split(80, 10, 10))
    assert found.variation.girth == (-0.1, 0.1)
    assert (found.pairing.max_turn, found.filter.min_to_source) == (np.inf, 0.4)
    assert found.quality.duplicate_bits == 3


def test_wrong_settings_are_refused_in_one_line() -> None:
    for wrong, message in (
        ({"size": 100}, "size is 100"),
        ({"pairs": 0}, "pairs is 0"),
        ({"format": "gif"}, "format is 'gif'"),
    ):
        with pytest.raises(ReliableSwapError, match=message):
            TripletSettings(**wrong)


def test_the_card_counts_all_shards() -> None:
    settings_ = json.loads(SETTINGS.to_json())
    base = {"version": "1", "settings": settings_, "analyser": "x", "encoder": "e 1", "attempts": 9}
    about = [
        {**base, "split": "train", "kept": 5, "drops": {"like target": 3, "given up": 1}},
        {**base, "split": "train", "kept": 4, "drops": {"like target": 1}},
        {**base, "split": "test", "kept": 2, "drops": {}},
    ]
    similarity = {"ab_to_b": 0.6, "ba_to_a": 0.5, "ab_to_a": 0.2, "ba_to_b": 0.1}
    text = card_text(about, similarity, Counter({"no face": 2}), 30, "mit")
    assert "| train | 9 | 18 |" in text
    assert "| test | 2 | 4 |" in text
    assert "like target 4" in text
    assert "1 of the pairs" in text
    assert "0.550" in text
    assert "0.150" in text
    assert text.startswith("---\nlicense: mit\n")
    assert "Photos: 30, of which 28 were used. Dropped: no face 2." in text
