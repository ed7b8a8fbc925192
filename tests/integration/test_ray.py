"""The factory on a Ray cluster of several nodes, writing to S3: the same bytes, also when a node dies in the middle."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.s3 import remote_shards, s3_bucket
from support.triplet_people import SETTINGS, Known, shard_bytes

from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.ray_cluster import RayCluster, connect
from reliableswap.triplets.factory import make_triplets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with s3_bucket(tmp_path_factory.mktemp("copies")) as place:
        yield place


@pytest.fixture(scope="module")
def cluster(bucket: Path) -> Iterator[Any]:
    """A head without processors, for this process alone, and two nodes with one processor each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join(str(Path(__file__).parents[n]) for n in (2, 1))
    before = dict(os.environ)
    os.environ |= {"PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.nodes = [made.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)


def slow_square(unit: int) -> int:
    time.sleep(0.2)
    if unit < 0:
        raise ReliableSwapError(f"unit {unit} is negative")
    return unit * unit


def test_every_unit_is_made_and_errors_come_back(cluster: Any) -> None:
    executor = RayCluster(cluster.address)
    assert list(executor(slow_square, [])) == []
    assert sorted(executor(slow_square, range(4))) == [0, 1, 4, 9]
    with pytest.raises(ReliableSwapError, match="unit -1 is negative"):
        list(executor(slow_square, [1, -1]))


def test_a_node_that_dies_in_the_middle_changes_nothing(
    cluster: Any, bucket: Path, made: Path, people: tuple[Path, partial[Known]]
) -> None:
    output = bucket / "triplets"
    victim, made_then = cluster.nodes[0], []

    def kill_after_the_first_shard() -> None:
        while not list(output.glob("data/*.parquet")):
            time.sleep(0.05)
        cluster.remove_node(victim, allow_graceful=False)
        made_then.append(len(list(output.glob("data/*.parquet"))))

    killer = threading.Thread(target=kill_after_the_first_shard, daemon=True)
    killer.start()
    executor = RayCluster(cluster.address)
    report = make_triplets(people[0], output, SETTINGS, analyser=people[1], executor=executor, progress=False)
    killer.join(60)
    assert 0 < made_then[0] < report.shards
    assert len(report.tallies) == report.shards
    assert remote_shards(output) == shard_bytes(made)


def test_no_cluster_is_an_error_that_says_what_to_do() -> None:
    ray = pytest.importorskip("ray")
    ray.shutdown()
    with pytest.raises(ReliableSwapError, match="no Ray cluster at"):
        connect("127.0.0.1:1")
