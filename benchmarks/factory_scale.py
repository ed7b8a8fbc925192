"""Measure how the triplet factory scales with the number of photos: memory and time of a coordinator and of a worker.

    python benchmarks/factory_scale.py [--photos 100000,1000000] [--pairs 300000] [--size 128]

The records are synthetic, so no photo is analysed: measures, hashes and vectors are random, and every crop is that of
one portrait, so that a worker's shard is real work.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from memory import MEBI, Step, measured
from people import photo_of

from reliableswap.data.array_file import ArrayFile
from reliableswap.data.photo_list import PhotoList
from reliableswap.data.photos import Photo, ScannedPhoto
from reliableswap.data.records import RecordCache
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.jobs.units import one_thread
from reliableswap.triplets.factory import PLAN
from reliableswap.triplets.plan import list_shards
from reliableswap.triplets.planning import Planner
from reliableswap.triplets.records import FaceKind
from reliableswap.triplets.settings import FilterSettings, QualitySettings, TripletSettings
from reliableswap.triplets.shards import ShardMaker

PHOTOS_PER_PERSON = 3
VECTOR = 128  # size of the bundled encoder's vectors


@contextmanager
def measure_as(name: str, steps: dict[str, Step]) -> Iterator[None]:
    """Measure a block, and keep what it took under a name."""
    with measured() as steps[name]:
        yield


def settings_for(arguments: argparse.Namespace) -> TripletSettings:
    """Settings with which every face is good enough and every surrogate is kept."""
    return TripletSettings(
        size=arguments.size,
        pairs=arguments.pairs,
        quality=QualitySettings(max_enlargement=9, min_sharpness=0.0, max_covered=1.0),
        filter=FilterSettings(min_sharpness_kept=0.0, min_shown=0.0, max_folded=1.0),
    )


def kind_for(size: int) -> FaceKind:
    return FaceKind("made up", size, size // 8, BundledAnalyser, None)


def made_up_list(folder: Path, photos: int) -> PhotoList:
    """Write a list of photos that do not exist."""
    found = (
        ScannedPhoto(
            f"person{i // PHOTOS_PER_PERSON:07d}/{i % PHOTOS_PER_PERSON}.jpg",
            f"person{i // PHOTOS_PER_PERSON:07d}",
            100_000 + i,
            i,
        )
        for i in range(photos)
    )
    return PhotoList.of(Path("/photos"), found).save(folder / PLAN / "photos.arrow")


def make_up_records(folder: Path, photos: int, arguments: argparse.Namespace) -> None:
    """Write records of all photos, as if they had been analysed."""
    kind, rng = kind_for(arguments.size), np.random.default_rng(0)
    cache = RecordCache(folder / "cache", kind, made_up_list(folder, photos))
    portrait = kind(Photo("portrait", "nobody", photo_of("P001"))).entry
    assert portrait is not None
    crops = folder / "crops.npy"
    with ArrayFile(crops, kind.entry) as out:
        for _ in range(max(map(len, cache.buckets))):
            out.append(portrait)
    cache.folder.mkdir(parents=True)
    for bucket in cache.buckets:
        count = len(bucket)
        plain = dict.fromkeys(kind.columns, np.full(count, 0.05))
        plain |= {"sharpness": rng.uniform(0.25, 0.5, count), "score": rng.uniform(0.8, 1, count)}
        plain |= {"yaw": rng.normal(0, 15, count), "pitch": rng.normal(0, 8, count)}
        vectors = rng.normal(size=(count, VECTOR)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        columns: dict[str, Any] = {
            "name": list(cache.photos.names(bucket.photos)),
            "stamp": [cache.photos[i].stamp for i in bucket.photos],
            "row": np.arange(count, dtype=np.int32),
            "reason": [""] * count,
            "message": [""] * count,
            **plain,
            "light": list(rng.normal(0, 8, (count, 3))),
            "hash": [rng.bytes(32) for _ in range(count)],
            "embedding": list(vectors),
        }
        table = pa.table(columns, schema=cache.schema(bucket))
        pq.write_table(table, cache.table(bucket), compression="zstd")
        os.link(crops, cache.array(bucket))


def coordinate(folder: Path, photos: int, arguments: argparse.Namespace) -> dict[str, Step]:
    """Measure what rank 0 does before the first shard, and in a second run."""
    steps: dict[str, Step] = {}
    with measure_as("list of photos (from memory)", steps):
        made_up_list(folder, photos)
    cache = None
    with measure_as("check which records exist", steps):
        listed = PhotoList.open(folder / PLAN / "photos.arrow")
        cache = RecordCache(folder / "cache", kind_for(arguments.size), listed)
        if not all(map(cache.done, cache.buckets)):
            raise SystemExit(
                f"{cache.folder} lacks records that were written above; this is a bug of the benchmark"
            )
    planner = Planner(folder / PLAN, listed, cache, settings_for(arguments))
    with measure_as("plan", steps):
        planner()
    with measure_as("plan again (a resumed run)", steps):
        planner.done()
        plan = planner.plan
        shards = list_shards(plan.slots, settings_for(arguments).shard_pairs)
    maker = ShardMaker(folder / "data", settings_for(arguments), plan, None, {})
    (folder / "maker.pickle").write_bytes(pickle.dumps((maker, shards[1 % len(shards)])))
    return steps


def work(folder: Path, arguments: argparse.Namespace) -> dict[str, Step]:
    """Measure what a worker does: receive the maker, find the pairs of a shard, and make part of it."""
    steps: dict[str, Step] = {}
    with measure_as("imports only", steps):
        pass
    with measure_as("start (receive the maker, map the plan)", steps):
        maker, shard = pickle.loads((folder / "maker.pickle").read_bytes())
        pairing = maker._pairing(shard.split)
    with measure_as("pairs of a shard (256)", steps):
        for slot in range(shard.start, shard.stop):
            pairing.pair(slot)
    with one_thread(), measure_as(f"a shard of {arguments.shard_pairs} pairs at {arguments.size} px", steps):
        maker(type(shard)("train", 0, 1, shard.start, shard.start + arguments.shard_pairs))
    return steps


def run_in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a call in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", default="100000,1000000", help="numbers of photos, separated by commas")
    parser.add_argument("--pairs", type=int, default=300_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--shard-pairs", type=int, default=16, help="pairs of the shard that is made")
    parser.add_argument("--json", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, tuple[float, float]]] = {}
    print("| photos | process | step | CPU seconds | own memory, MiB |\n|---|---|---|---|---|", flush=True)
    for photos in map(int, arguments.photos.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            run_in_process(make_up_records, folder, photos, arguments)
            for process, steps in (
                ("coordinator", run_in_process(coordinate, folder, photos, arguments)),
                ("worker", run_in_process(work, folder, arguments)),
            ):
                for name, step in steps.items():
                    print(
                        f"| {photos:,} | {process} | {name} | {step.seconds:.1f} | {step.peak / MEBI:.0f} |",
                        flush=True,
                    )
                    figures.setdefault(str(photos), {})[f"{process}: {name}"] = (step.seconds, step.peak)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
