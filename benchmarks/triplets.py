"""Measure the triplet factory on this machine: speed by step, scaling, memory, and a run that is killed and resumed.

    python benchmarks/triplets.py PHOTOS [--flat ffhq128] [--encoder PATH] [--photos 600] [--pairs 96]
    python benchmarks/triplets.py PHOTOS --sizes 128,512 --memory 50,400    # only the memory, by the number of pairs

All runs take a sample of the photos and work in a temporary folder.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from memory import MEBI, measured

from reliableswap.bundled import bundled
from reliableswap.data.encoders import PRECISIONS, EncoderChoice
from reliableswap.data.photos import list_photos
from reliableswap.data.splits import Split
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.jobs.units import one_thread
from reliableswap.triplets.factory import RunReport, make_triplets
from reliableswap.triplets.settings import QualitySettings, TripletSettings

SHARD = 16  # pairs per shard where the work on shards is measured


def sample_table(arguments: argparse.Namespace, folder: Path) -> Path:
    """Write a table of about as many photos as asked for, with all photos of a person or none."""
    photos = list_photos(arguments.photos_folder, [n for n in arguments.flat.split(",") if n])
    people: dict[str, list] = {}
    for photo in photos:
        people.setdefault(photo.identity, []).append(photo)
    step = max(1, len(photos) // arguments.photos)
    table = folder / "photos.csv"
    with table.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["path", "identity"])
        for name in sorted(people, key=lambda n: hashlib.md5(n.encode()).digest())[::step]:
            out.writerows((photo.path.resolve(), photo.identity) for photo in people[name])
    return table


def settings_for(size: int, pairs: int, shard_pairs: int, form: str = "jpeg") -> TripletSettings:
    """All people in one split, so that all shards are alike; at sizes above 128 px small photos are accepted, too."""
    quality = QualitySettings(max_enlargement=np.inf, min_sharpness=0.0) if size > 128 else QualitySettings()
    return TripletSettings(
        size=size, pairs=pairs, shard_pairs=shard_pairs, format=form, split=Split(100, 0, 0), quality=quality
    )


@dataclasses.dataclass(frozen=True)
class Job:
    """One run in a process of its own."""

    table: Path
    output: Path
    cache: Path
    size: int
    pairs: int
    encoder: EncoderChoice | None
    workers: int = 1
    shard_pairs: int = SHARD
    form: str = "jpeg"

    def __call__(self) -> RunReport:
        return make_triplets(
            self.table,
            self.output,
            settings_for(self.size, self.pairs, self.shard_pairs, self.form),
            cache=self.cache,
            encoder=self.encoder,
            workers=self.workers,
            progress=False,
        )


def _run(job: Job, queue: Any) -> None:
    start = time.perf_counter()
    report = job()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    queue.put((time.perf_counter() - start, peak * 1024, report))


def run(job: Job) -> tuple[float, int, RunReport]:
    """Make a run; return its wall seconds, the peak bytes of its largest process, and its report."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_run, args=(job, queue))
    child.start()
    answer = queue.get()
    child.join()
    return answer


def speed(job: Job) -> None:
    """Print surrogates per CPU second, and the share of each step.

    These are differences between a run and one of four times the pairs, so loading networks and reading records do not
    count.
    """
    reports = [
        run(
            dataclasses.replace(
                job,
                pairs=times * job.pairs,
                output=job.output.with_name(f"{job.output.name}-{times}"),
                shard_pairs=TripletSettings().shard_pairs,  # what users get
            )
        )[2]
        for times in (1, 4)
    ]
    few, many = reports
    swaps = 2 * (many.attempts - few.attempts)
    seconds = {step: many.seconds[step] - few.seconds[step] for step in many.seconds}
    total = sum(seconds.values())
    rates = f"{swaps / total:.0f} surrogates per second per core"
    if "encode" in seconds:
        rates += f", {swaps / (total - seconds['encode']):.0f} without the identity filter"
    shares = ", ".join(f"{step} {value / total:.0%}" for step, value in seconds.items())
    first = 2 * few.attempts / sum(few.seconds.values())
    print(
        f"{job.size} px: {rates} ({swaps} made; {first:.0f} in the first {few.attempts} pairs, start-up included); "
        f"{shares}",
        flush=True,
    )
    if many.kept:
        with one_thread():
            dataset = TripletDataset(job.output.with_name(f"{job.output.name}-4"))
            dataset[0]
            start = time.process_time()
            for i in range(100):
                dataset[i]
        print(
            f"  training set: {100 / (time.process_time() - start):.0f} samples per second per core",
            flush=True,
        )


def scaling_and_memory(job: Job) -> None:
    """Print pairs per second with one and two processes, and the peak memory."""
    rates, peaks = {}, {}
    for workers in (1, 2):
        for times in (1, 4):
            longer = dataclasses.replace(
                job,
                workers=workers,
                pairs=times * job.pairs,
                output=job.output.with_name(f"{job.output.name}-{workers}-{times}"),
            )
            _, peaks[workers, longer.pairs], _ = run(longer)
        rates[workers] = steady_rate(longer)
    print(
        f"{job.size} px: {rates[1]:.1f} pairs per second with one process, {rates[2]:.1f} with two: "
        f"{rates[2] / rates[1] / 2:.2f} of twice the speed"
    )
    for (workers, pairs), peak in peaks.items():
        print(f"  peak of a process, {workers} process(es), {pairs} pairs: {peak / MEBI:.0f} MiB")


def _watched(job: Job, queue: Any) -> None:
    with measured() as step:
        report = job()
    queue.put((step.peak, report.kept))


def memory(job: Job, counts: list[int]) -> None:
    """Print the peak memory of one worker, for each number of pairs."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for pairs in counts:
        output = job.output.with_name(f"{job.output.name}-memory-{pairs}")
        longer = dataclasses.replace(job, pairs=pairs, output=output)
        child = context.Process(target=_watched, args=(longer, queue))
        child.start()
        peak, kept = queue.get()
        child.join()
        stored = sum(path.stat().st_size for path in output.glob("data/*.parquet"))
        print(
            f"{job.size} px, {job.form}, {pairs} pairs ({kept} kept, {stored / MEBI:.0f} MiB of shards): "
            f"own memory at its peak {peak / MEBI:.0f} MiB",
            flush=True,
        )


def steady_rate(job: Job) -> float:
    """Pairs per second of a finished run, from the moment when every process had finished its second shard."""
    times = sorted(path.stat().st_mtime for path in job.output.glob("data/*.parquet"))
    first = 2 * job.workers - 1
    return (len(times) - 1 - first) * job.shard_pairs / (times[-1] - times[first])


def kill_and_resume(job: Job) -> None:
    """Kill a run in the middle, start it again, and compare it byte by byte with an uninterrupted run."""
    whole = dataclasses.replace(job, output=job.output.with_name("whole"))
    run(whole)
    wanted = digests(whole.output)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=job)
    child.start()
    while len(digests(job.output)) < len(wanted) // 2 and child.is_alive():
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    half = digests(job.output)
    run(job)
    same = digests(job.output) == wanted
    print(
        f"killed with {len(half)} of {len(wanted)} shards done, resumed: {'same bytes' if same else 'DIFFERENT'}"
    )
    if not same:
        sys.exit(1)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("data/[!.]*.parquet")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "photos_folder", type=Path, metavar="PHOTOS", help="folder with one sub-folder per person"
    )
    parser.add_argument(
        "--flat", default="", help="sub-folders in which every photo shows a different person"
    )
    parser.add_argument("--photos", type=int, default=600, help="approximate number of photos to sample")
    parser.add_argument("--pairs", type=int, default=400, help="pairs in the shortest run")
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument(
        "--encoder",
        default="bundled",
        help="identity encoder of the filter: a folder or ONNX file, bundled (the default) or none",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--device", default="cpu", help="device of the encoder: cpu or openvino")
    parser.add_argument("--encoder-mean", default="0.485,0.456,0.406")
    parser.add_argument("--encoder-std", default="0.229,0.224,0.225")
    parser.add_argument(
        "--skip-scaling", action="store_true", help="measure only speed, and a killed and resumed run"
    )
    parser.add_argument(
        "--memory", help="measure only a worker's memory, at these numbers of pairs, separated by commas"
    )
    parser.add_argument(
        "--shard-pairs",
        type=int,
        default=TripletSettings().shard_pairs,
        help="pairs per shard, with --memory",
    )
    parser.add_argument("--format", choices=("jpeg", "png"), default="jpeg", help="how pictures are stored")
    arguments = parser.parse_args()
    mean, std = (
        tuple(map(float, text.split(","))) for text in (arguments.encoder_mean, arguments.encoder_std)
    )
    encoder = None
    if arguments.encoder != "none":
        place = bundled("identity") if arguments.encoder == "bundled" else Path(arguments.encoder)
        encoder = EncoderChoice(place, mean, std, arguments.device, arguments.precision)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = sample_table(arguments, folder)
        for size in map(int, arguments.sizes.split(",")):
            cache = folder / f"cache-{size}"
            job = Job(table, folder / f"first-{size}", cache, size, SHARD, encoder, form=arguments.format)
            run(job)  # finds the faces, which is not what is measured
            if arguments.memory:
                counts = [int(count) for count in arguments.memory.split(",")]
                memory(dataclasses.replace(job, shard_pairs=arguments.shard_pairs), counts)
                continue
            job = dataclasses.replace(job, pairs=arguments.pairs, output=folder / f"speed-{size}")
            speed(job)
            if not arguments.skip_scaling:
                scaling_and_memory(dataclasses.replace(job, output=folder / f"scale-{size}"))
        if not arguments.memory:
            kill_and_resume(dataclasses.replace(job, output=folder / "killed"))


if __name__ == "__main__":
    main()
