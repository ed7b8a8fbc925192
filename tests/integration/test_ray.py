"""Work units on a Ray cluster that loses a node midway give the same results as in one process."""

from __future__ import annotations

import csv
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.clips import Made, packets, pictures, stamps
from support.evaluation_people import encoder
from support.people import person, portrait
from support.s3 import remote_shards, s3_bucket
from support.triplet_people import SETTINGS, Known, shard_bytes

import reliableswap
from reliableswap import ReliableSwapPipeline
from reliableswap.cli.main import main
from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.ray_cluster import RayCluster, connect
from reliableswap.pipelines.clip_nodes import Nodes
from reliableswap.pipelines.video import VideoProgress, VideoResult, VideoSettings
from reliableswap.triplets.factory import make_triplets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with s3_bucket(tmp_path_factory.mktemp("copies")) as place:
        yield place


@pytest.fixture(scope="module")
def cluster(bucket: Path) -> Iterator[Any]:
    """A head node without CPUs, which serves this process alone; `nodes` adds the others."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join(str(Path(__file__).parents[n]) for n in (2, 1))
    before = dict(os.environ)
    os.environ |= {"PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.nodes = []
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def nodes(cluster: Any) -> Any:
    """The cluster, with two nodes of one CPU each."""
    while len(cluster.nodes) < 2:
        cluster.nodes.append(cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))
    return cluster


@contextmanager
def kill_a_node_after(cluster: Any, done: Callable[[], int]) -> Iterator[list[int]]:
    """Kill a node as soon as `done` returns more than 0, and add that number to the list."""
    done_then: list[int] = []

    def kill() -> None:
        while not done():
            time.sleep(0.05)
        cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)
        done_then.append(done())

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    yield done_then
    killer.join(60)


def slow_square(unit: int) -> int:
    time.sleep(0.2)
    if unit < 0:
        raise ReliableSwapError(f"unit {unit} is negative")
    return unit * unit


def test_every_unit_is_made_and_errors_come_back(nodes: Any) -> None:
    executor = RayCluster(nodes.address)
    assert list(executor(slow_square, [])) == []
    assert sorted(executor(slow_square, range(4))) == [0, 1, 4, 9]
    with pytest.raises(ReliableSwapError, match="unit -1 is negative"):
        list(executor(slow_square, [1, -1]))


class Opened:
    """A maker that returns its process, how often it was called there, and its working folder."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, unit: int) -> tuple[int, int, str]:
        self.calls += 1
        return os.getpid(), self.calls, str(Path.cwd())


def test_a_maker_stays_loaded_and_works_in_the_caller_s_folder(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    executor, maker = RayCluster(nodes.address), Opened()
    found = [*executor(maker, range(4)), *executor(maker, range(4))]
    assert {folder for _, _, folder in found} == {str(tmp_path)}
    calls: dict[int, list[int]] = {}
    for process, count, _ in found:
        calls.setdefault(process, []).append(count)
    assert all(sorted(counts) == list(range(1, len(counts) + 1)) for counts in calls.values())
    assert sum(map(len, calls.values())) == 8


def test_closing_stops_started_units(nodes: Any, tmp_path: Path) -> None:
    made = RayCluster(nodes.address)(partial(slow_file, tmp_path), [0.0, 30.0, 31.0, 32.0])
    assert next(made) == 0.0
    made.close()
    assert {path.name for path in tmp_path.iterdir()} <= {"0.0"}


def slow_file(folder: Path, seconds: float) -> float:
    time.sleep(seconds)
    (folder / str(seconds)).touch()
    return seconds


def test_triplets(nodes: Any, bucket: Path, made: Path, people: tuple[Path, partial[Known]]) -> None:
    output = bucket / "triplets"
    executor = RayCluster(nodes.address)
    with kill_a_node_after(nodes, lambda: len(list(output.glob("data/*.parquet")))) as made_then:
        report = make_triplets(
            people[0], output, SETTINGS, analyser=people[1], executor=executor, progress=False
        )
    assert 0 < made_then[0] < report.shards
    assert len(report.tallies) == report.shards
    assert remote_shards(output) == shard_bytes(made)


def test_batch(nodes: Any, tmp_path: Path) -> None:
    for number in (1, 2, 4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), portrait(number, 240)[..., ::-1])
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((90, 90, 3), 90, np.uint8))
    rows = [f"{a}.png,{b}.png,{a}-{b}.png" for a in (1, 2, 4) for b in (1, 2, 4) if a != b]
    rows.insert(2, "1.png,wall.png,never.png")
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["source,target,output", *rows]) + "\n")
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(["batch", str(listed), "-o", str(here)]) == 1
    command = ["batch", str(listed), "-o", str(there), "--executor", "ray", "--address", nodes.address]
    with kill_a_node_after(nodes, lambda: len(list(there.glob("*.png")))) as made_then:
        assert main(command) == 1
    assert 0 < made_then[0] < 6
    assert batch_report(there) == batch_report(here)
    assert [row["status"] for row in batch_report(there)].count("made") == 6
    for path in here.glob("*.png"):  # each result has a watermark of its own, which blurring removes
        one, other, target = (
            cv2.GaussianBlur(cv2.imread(str(file)), (0, 0), 8).astype(int)
            for file in (path, there / path.name, tmp_path / f"{path.stem[2:]}.png")
        )
        assert np.abs(one - other).max() < 3 < np.abs(one - target).max(), path.name
    assert main(command) == 1
    assert [row["status"] for row in batch_report(there)].count("kept") == 6


def batch_report(folder: Path) -> list[dict[str, str]]:
    """The rows of its report, without times."""
    with (folder / "report.csv").open(newline="") as stream:
        return [{**row, "seconds": ""} for row in csv.DictReader(stream)]


def test_evaluation(nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(
        tmp_path
    )  # relative paths refer to the caller's folder, also in the reasons for failures
    for number in range(1, 6):
        Path(f"photos/{number}").mkdir(parents=True)
        for kind in ("studio_portrait", "amateur_selfie"):
            picture = portrait(number, 240, kind)[..., ::-1]
            cv2.imwrite(f"photos/{number}/{kind}.png", picture)
    Path("photos/7").mkdir()
    for name in ("wall", "other"):
        cv2.imwrite(f"photos/7/{name}.png", np.full((90, 90, 3), 90, np.uint8))
    encoder(0).save_pretrained("judge")
    command = ["evaluate", "--protocol", "identity-folders", "--faces", "photos", "--pairs", "10", "--controls",
               "--pipeline", "bundled", "--engine", "blend", "--judge", "judge"]  # fmt: skip
    assert main([*command, "--keep", "kept", "-o", "here"]) == 0
    ray = ["--executor", "ray", "--address", nodes.address]
    there = Path("kept-there/bundled-blend")
    with kill_a_node_after(nodes, lambda: len(list(there.glob("*.png")))) as made_then:
        assert main([*command, *ray, "--keep", "kept-there", "-o", "there"]) == 0
    assert 0 < made_then[0] < len(list(there.glob("*.png")))
    assert without_times(Path("there")) == without_times(Path("here"))
    left_out = json.loads(Path("there/report.json").read_text())["left_out"]
    assert any("no face in photos/7/" in reason for reason in left_out.values())


def without_times(report: Path) -> tuple[Any, list[list[str]]]:
    """report.json and pairs.csv, without times and the command."""
    found = json.loads((report / "report.json").read_text())
    for name in ("command", "seconds"):
        del found["facts"][name]
    found["best"].pop("milliseconds", None)
    for method in found["methods"].values():
        method["figures"].pop("milliseconds", None)
    with (report / "pairs.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    place = rows[0].index("milliseconds")
    return found, [row[:place] + row[place + 1 :] for row in rows]


def test_a_clip(nodes: Any, tmp_path: Path, pipe: ReliableSwapPipeline) -> None:
    image, frames = portrait(1, 240), []
    for step in range(32):
        move = np.float32([[1, 0, 0.7 * step], [0, 1, 0.4 * step]])
        frames.append(cv2.warpAffine(image, move, (160, 208), borderMode=cv2.BORDER_REPLICATE))
    clip = Made(frames, sound=True).write(tmp_path / "clip.mp4")
    here, there = tmp_path / "here.mp4", tmp_path / "there.mp4"
    given: dict[str, Any] = {"video": VideoSettings(segment=0.32)}  # eight frames
    # Both continue the same started run, because a run's id is in the watermark of all its frames.
    steps = pipe.video(person(2), clip, here, **given)
    next(step for step in steps if isinstance(step, VideoProgress) and step.stage == "check")
    steps.close()  # type: ignore[attr-defined]
    parts = there.with_name("there.mp4.parts")
    shutil.copytree(here.with_name("here.mp4.parts"), parts)
    *_, alone = pipe.video(person(2), clip, here, **given)
    on_cluster = Nodes(RayCluster(nodes.address), ReliableSwapPipeline.bundled)
    with kill_a_node_after(nodes, lambda: len(list(parts.glob("0*.mkv")))) as made_then:
        *_, spread = pipe.video(person(2), clip, there, nodes=on_cluster, **given)
    assert 0 < made_then[0] < 4
    for frame, other in zip(pictures(here), pictures(there), strict=True):
        assert np.array_equal(frame, other)
    assert (stamps(there), packets(there, "audio")) == (stamps(clip), packets(clip, "audio"))
    assert isinstance(alone, VideoResult)
    assert isinstance(spread, VideoResult)
    for name in ("frames_swapped", "failed", "people", "resumed_segments"):
        assert spread.report[name] == alone.report[name], name
    assert reliableswap.verify(there).agree is True
    assert not parts.exists()


def test_no_cluster_is_an_error_that_says_what_to_do() -> None:
    ray = pytest.importorskip("ray")
    ray.shutdown()
    with pytest.raises(ReliableSwapError, match="no Ray cluster at"):
        connect("127.0.0.1:1")
