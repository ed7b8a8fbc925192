"""Whole runs of the triplet factory: the same bytes from any number of ranks, resume, the command."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import multiprocessing
import os
import re
import shutil
import signal
import time
import tracemalloc
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from support.triplet_people import SETTINGS, SIZE, Known, all_rows, shard_bytes

from reliableswap.cli import triplets as command
from reliableswap.data.cells import decode_mesh, decode_picture
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.shards import read_about
from reliableswap.data.splits import Split
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.align import TEMPLATES
from reliableswap.faces.face import Face, five_points
from reliableswap.jobs.units import Maker, Rank
from reliableswap.models.identity import IdentityEncoder
from reliableswap.provenance import read_mark
from reliableswap.provenance.verify import verify
from reliableswap.triplets.factory import make_triplets
from reliableswap.triplets.settings import QualitySettings


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
    assert sheet.shape[1] == 4 * (6 * 128 + 8)
    assert sheet.std() > 30
    marks = verify(made / "contact_sheet.jpg")
    assert marks.manifest.statement["action"] == "face swap for a training triplet"
    assert marks.agree


@pytest.mark.slow
def test_ranks_share_the_work_and_change_nothing(
    made: Path, people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    # The second rank waits in vain for the first one's list and plan, and then makes them itself.
    args = {"analyser": people[1], "progress": False, "cache": made / "cache"}
    second = make_triplets(people[0], tmp_path, SETTINGS, rank=Rank(1, 2), patience=0.05, **args)
    half = shard_bytes(tmp_path)
    assert set(half) == {tally.shard.name for tally in second.tallies}
    assert 0 < len(half) < second.shards
    assert not (tmp_path / "README.md").exists()
    first = make_triplets(people[0], tmp_path, SETTINGS, rank=Rank(0, 2), **args)
    assert len(first.tallies) + len(second.tallies) == first.shards
    assert shard_bytes(tmp_path) == shard_bytes(made)
    assert (tmp_path / "README.md").exists()


@pytest.mark.slow
def test_a_killed_run_resumes(made: Path, people: tuple[Path, partial[Known]], tmp_path: Path) -> None:
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
    os.utime(leftover, (1, 1))  # 0 would mean that the store reports no time
    report = work()
    assert len(report.tallies) == report.shards - len(done)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert shard_bytes(tmp_path) == shard_bytes(made)


@pytest.mark.slow
def test_finished_photos_are_not_looked_at_again(people: tuple[Path, partial[Known]], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(people[0], photos)
    seen = people[0].parent / "seen.txt"
    args = {"analyser": people[1], "progress": False, "cache": tmp_path / "cache"}
    make_triplets(photos, tmp_path / "one", SETTINGS, **args)
    before = len(seen.read_text().splitlines())
    again = make_triplets(photos, tmp_path / "one", SETTINGS, **args)
    assert again.tallies == []
    assert len(seen.read_text().splitlines()) == before

    # Only an added photo is analysed. But the photos of a run that has started must not change.
    shutil.copy(photos / "P003" / "studio_portrait.png", photos / "P003" / "twin.png")
    with pytest.raises(ReliableSwapError, match="started with different photos; give another output folder"):
        make_triplets(photos, tmp_path / "one", SETTINGS, **args)
    report = make_triplets(photos, tmp_path / "two", SETTINGS, **args)
    assert len(seen.read_text().splitlines()) == before + 1
    assert report.photos == {"no face": 1, "unreadable": 1, "duplicate": 1}
    with pytest.raises(ReliableSwapError, match="started with different seed"):
        make_triplets(photos, tmp_path / "two", dataclasses.replace(SETTINGS, seed=1), **args)


def test_the_marks_tell_synthetic_pictures_from_photos(made: Path) -> None:
    for row in all_rows(made):
        for name in ("c_ab", "c_ba", "source_a", "source_b"):
            mark = read_mark(row[name]["bytes"])
            assert mark is not None
            assert mark.ai_made
        assert all(read_mark(row[name]["bytes"]) is None for name in ("c_a", "c_b", "other_a", "other_b"))


@pytest.mark.slow
def test_a_split_without_triplets_is_reported_at_the_end(
    people: tuple[Path, partial[Known]], made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataclasses.replace(SETTINGS, pairs=3, split=Split(90, 5, 5))
    args = {"analyser": people[1], "progress": False, "cache": made / "cache"}
    make_triplets(people[0], tmp_path / "small", settings, **args)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "no triplets in validation: nobody of 10 fell into it" in warning
    with pytest.raises(ReliableSwapError, match=r"no rows of split validation.*two people.*--split 80/20/0"):
        TripletDataset(tmp_path / "small", "validation")

    caplog.clear()
    better = Split.parse(re.findall(r"--split (\d+/\d+/\d+)", warning)[-1])
    make_triplets(
        people[0], tmp_path / "better", dataclasses.replace(settings, pairs=6, split=better), **args
    )
    assert not caplog.records
    assert TripletDataset(tmp_path / "better", "validation").counts


@pytest.mark.slow
def test_written_shards_are_freed_from_memory(
    people: tuple[Path, partial[Known]], made: Path, tmp_path: Path
) -> None:
    settings = dataclasses.replace(SETTINGS, pairs=10, shard_pairs=2, split=Split(1, 0, 0))
    in_use = []

    def watched(maker: Maker[Any], units: Sequence[Any]) -> Generator[Any, None, None]:
        for unit in units:
            yield maker(unit)
            gc.collect()
            in_use.append(tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes())

    tracemalloc.start()
    try:
        args = {"analyser": people[1], "progress": False, "cache": made / "cache"}
        make_triplets(people[0], tmp_path, settings, executor=watched, **args)
    finally:
        tracemalloc.stop()
    written = [path.stat().st_size for path in sorted((tmp_path / "data").iterdir())]
    assert len(in_use) == len(written) == 5
    # The first two shards do not count: what is loaded once stays in memory.
    assert in_use[-1] - in_use[1] < sum(written[2:]) / 2


class Hiding:
    """An analyser that hides a photo, as if a network drive had dropped out."""

    name = "known"

    def __init__(self, known: partial[Known], photo: Path) -> None:
        self.known, self.photo = known(), photo

    def __call__(self, image: np.ndarray) -> list[Face]:
        if self.photo.exists():
            self.photo.rename(self.photo.with_suffix(".away"))
        return self.known(image)


@pytest.mark.slow
def test_a_temporarily_unreadable_photo_is_not_lost(
    people: tuple[Path, partial[Known]], made: Path, tmp_path: Path
) -> None:
    shutil.copytree(people[0], tmp_path / "photos")
    lost = tmp_path / "photos/P009/studio_portrait.png"
    hiding = partial(Hiding, people[1], lost)
    with pytest.raises(ReliableSwapError, match=r"1 photos could not be read: P009/studio_portrait\.png"):
        make_triplets(tmp_path / "photos", tmp_path / "out", SETTINGS, analyser=hiding, progress=False)
    assert not (tmp_path / "out/data").exists()
    lost.with_suffix(".away").rename(lost)
    make_triplets(tmp_path / "photos", tmp_path / "out", SETTINGS, analyser=people[1], progress=False)
    assert shard_bytes(tmp_path / "out") == shard_bytes(made)


@pytest.mark.slow
def test_an_encoder_fills_vectors_and_drops_pairs(
    people: tuple[Path, partial[Known]], made: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    IdentityEncoder().save_pretrained(tmp_path / "encoder")
    choice = EncoderChoice(tmp_path / "encoder")
    # To an untrained encoder all faces are alike, so a tight limit drops everything and a loose one nothing.
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
    with pytest.raises(ReliableSwapError, match="the filter dropped all of its pairs"):
        TripletDataset(tmp_path / "tight")
    with pytest.raises(WeightsError, match="no identity encoder at"):
        EncoderChoice(tmp_path / "none").load()


def test_too_few_people_is_an_error_that_says_why(
    people: tuple[Path, partial[Known]], tmp_path: Path
) -> None:
    strict = dataclasses.replace(SETTINGS, quality=QualitySettings(min_sharpness=5.0))
    with pytest.raises(ReliableSwapError, match=r"no split has two people to pair .*20 blurred"):
        make_triplets(people[0], tmp_path, strict, analyser=people[1], progress=False)


@pytest.mark.slow
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
    assert verify(tmp_path / "sheet.png").agree
    with pytest.raises(ReliableSwapError, match="neither one number nor three"):
        command.run(
            parser.parse_args([str(people[0]), *arguments, "--encoder", "x", "--encoder-mean", "1,2"])
        )
