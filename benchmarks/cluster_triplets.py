"""Make triplets on a Ray cluster with S3, kill a node in the middle, and compare the shards with a local run's.

    python benchmarks/cluster_triplets.py PHOTOS [--pairs 2000] [--size 64] [--nodes 3] [--kill-after 0.5]

An S3 server (moto) and the cluster's nodes run on this machine, each node with one CPU. Both runs analyse the photos
from scratch; the cluster keeps records, plan and shards in the bucket. It needs the extras `s3` and `ray`, and
"moto[server]". The exit status is 1 if a shard differs by a byte.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3_server import s3_bucket

from reliableswap.bundled import bundled
from reliableswap.data.encoders import EncoderChoice
from reliableswap.data.splits import Split
from reliableswap.jobs.ray_cluster import RayCluster
from reliableswap.triplets.factory import RunReport, make_triplets
from reliableswap.triplets.settings import TripletSettings

MEBI = 2**20
STORE = 100 * MEBI  # Ray's shared memory, for each node


@dataclass(frozen=True)
class Run:
    """A run of the factory, which can be made locally or on a cluster."""

    photos: Path
    flat: tuple[str, ...]
    settings: TripletSettings

    def __call__(self, output: Path, executor: RayCluster | None = None) -> RunReport:
        encoder = EncoderChoice(bundled("identity"), precision="auto")
        return make_triplets(
            self.photos,
            output,
            self.settings,
            flat=self.flat,
            encoder=encoder,
            executor=executor,
            progress=False,
        )


@dataclass(frozen=True)
class RecordingMaker:
    """A maker that leaves an empty file in `folder` for each unit that it begins."""

    maker: Callable[[Any], Any]
    folder: Path

    def __call__(self, unit: Any) -> Any:
        (self.folder / uuid.uuid4().hex).touch()
        return self.maker(unit)


@dataclass(frozen=True)
class RecordingCluster(RayCluster):
    """A cluster whose nodes record the units that they begin; the file `units` counts those requested."""

    log: Path = Path()

    def __call__(self, maker: Any, units: Sequence[Any]) -> Generator[Any, None, None]:
        (self.log / "units").open("a").write("." * len(units))
        yield from super().__call__(RecordingMaker(maker, self.log / "begun"), units)

    @property
    def repeated(self) -> int:
        """How many units were begun a second time."""
        return len(list((self.log / "begun").iterdir())) - (self.log / "units").stat().st_size


def peak_memory() -> int:
    """The peak of this process's memory in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def ray_nodes(count: int) -> Iterator[Any]:
    """A cluster of `count` nodes with one CPU each, and a head without one."""
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError:
        raise SystemExit('Ray is not installed; run: pip install -e ".[s3,ray]" "moto[server]"') from None
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0"}
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(count)]
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def killed_node(cluster: Any, made: Callable[[], int], after: int) -> Iterator[list[int]]:
    """Kill a node once `after` shards are made. The list that it yields then holds their actual number."""
    then: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.2):
            if made() >= after:
                cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)
                then.append(made())
                return

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield then
    finally:
        over.set()
        killer.join(60)


def shards(output: Path) -> dict[str, bytes]:
    """The shards of a run by name."""
    return {path.name: path.read_bytes() for path in output.glob("data/*.parquet")}


def run_locally(run: Run, output: Path) -> tuple[RunReport, float, float]:
    """Make the local run; return its report, seconds, and its peak memory in bytes."""
    began = time.monotonic()
    report = run(output)
    return report, time.monotonic() - began, peak_memory()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder with one sub-folder per person")
    parser.add_argument(
        "--flat", default="", help="sub-folders in which every photo shows a different person"
    )
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--size", type=int, default=64, help="side of the crops in pixels")
    parser.add_argument(
        "--shard-pairs", type=int, default=50, help="pairs per shard, which is a unit of work"
    )
    parser.add_argument("--nodes", type=int, default=3, help="cluster nodes, one CPU each")
    parser.add_argument(
        "--kill-after",
        type=float,
        default=0.5,
        help="share of the shards that are made when a node is killed",
    )
    arguments = parser.parse_args()
    if arguments.nodes < 2:
        parser.error(f"--nodes {arguments.nodes} is too few: one node is killed; give at least 2")
    flat = tuple(name for name in arguments.flat.split(",") if name)
    settings = TripletSettings(
        size=arguments.size, pairs=arguments.pairs, shard_pairs=arguments.shard_pairs, split=Split(100, 0, 0)
    )
    run = Run(arguments.photos.resolve(), flat, settings)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            report, seconds, peak = pool.apply(run_locally, (run, folder / "local"))
        wanted = shards(folder / "local")
        print(
            f"local: {len(wanted)} shards, {report.kept} of {arguments.pairs} pairs kept, {seconds:.0f} s, "
            f"peak {peak / MEBI:.0f} MiB",
            flush=True,
        )
        (folder / "begun").mkdir()
        after = max(1, round(arguments.kill_after * len(wanted)))
        with s3_bucket(folder / "copies") as bucket, ray_nodes(arguments.nodes) as cluster:
            output = bucket / "triplets"
            executor = RecordingCluster(cluster.address, log=folder)
            began = time.monotonic()
            with killed_node(
                cluster, lambda: len(list(output.glob("data/*.parquet"))), after
            ) as made_at_kill:
                run(output, executor)
            seconds = time.monotonic() - began
            found = shards(output)
        different = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        killed = f"one killed with {made_at_kill[0]} shards made" if made_at_kill else "NONE KILLED"
        print(
            f"{arguments.nodes} nodes, {killed}: {len(found)} shards, {sum(map(len, found.values())) / MEBI:.0f} MiB, "
            f"{seconds:.0f} s, units repeated: {executor.repeated}, "
            f"driver peak {peak_memory() / MEBI:.0f} MiB"
        )
        print(f"{len(different)} shards differ {different[:5]}" if different else "all shards are identical")
        if different or not made_at_kill:
            sys.exit(1)


if __name__ == "__main__":
    main()
