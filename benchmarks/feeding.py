"""Measure how fast workers make training samples and the device completes them, and how many cores feed an accelerator.

    python benchmarks/feeding.py TRIPLETS [TRIPLETS ...]
    python benchmarks/feeding.py TRIPLETS --preset layered --occluders CUTOUTS

For each folder: the CPU milliseconds of one sample by part, on one core; the milliseconds per sample of completing a
batch on this machine's device; and the samples per second of a data loader with one worker, two, ..., whose batches are
thrown away. A network that takes --rates images per second needs this many cores: the rate divided by the samples per
second of one worker, or without workers the rate times the milliseconds of a sample / 1000. The rates are assumptions,
to be replaced by those that a training logs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import torch
from torch.utils.data import DataLoader

from reliableswap.data import samples as sample_parts
from reliableswap.data import triplet_dataset
from reliableswap.data.augment import Augmentation
from reliableswap.data.samples import collate
from reliableswap.imaging.occluders import Occluders
from reliableswap.training.core.batches import make_loader, start_loading, to_device
from reliableswap.training.core.task import Task
from reliableswap.training.tasks.generator import samples as generator_samples
from reliableswap.training.tasks.generator.corruption import CorruptionRates
from reliableswap.training.tasks.generator.samples import GeneratorSamples, completed
from reliableswap.training.tasks.generator.settings import GeneratorSettings

# The parts of a sample: where their function is looked up, and its name.
PARTS: dict[str, tuple[Any, str]] = {
    "read and decode": (triplet_dataset, "_face"),
    "find covers": (sample_parts, "find_cover_planes"),
    "find glasses": (sample_parts, "find_glasses_mask"),
    "rasterise the mesh": (sample_parts, "shown_triangles"),
    "hidden points": (sample_parts, "hidden_points"),
    "regions": (sample_parts, "target_regions"),
    "draw occluders": (Occluders, "draw"),
    "their shadows": (triplet_dataset, "cast"),
    "corrupt guidance": (generator_samples, "draw_corruption"),
    "draw glasses": (generator_samples, "draw_glasses"),
}


def timed(function: Callable[..., Any], name: str, spent: Counter[str]) -> Callable[..., Any]:
    """Wrap a function so that it adds its CPU nanoseconds to `spent`."""

    def call(*arguments: Any, **options: Any) -> Any:
        started = time.process_time_ns()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += time.process_time_ns() - started

    return call


def by_part(samples: GeneratorSamples, count: int) -> Counter[str]:
    """CPU milliseconds per sample, by part and of all parts ("together")."""
    for i in range(10):  # load networks and tables
        samples[i]
    spent: Counter[str] = Counter()
    with ExitStack() as patched:
        for name, (owner, function) in PARTS.items():
            patched.enter_context(patch.object(owner, function, timed(getattr(owner, function), name, spent)))
        started = time.process_time_ns()
        for i in range(10, 10 + count):
            samples[i]
        spent["together"] = time.process_time_ns() - started
    return Counter({name: value / count / 1e6 for name, value in spent.items()})


def completing(samples: GeneratorSamples, batch: int, device: torch.device, rounds: int) -> float:
    """Milliseconds per sample, the median of several batches: CPU time on a CPU, else wall time."""
    batches = [collate([samples[batch * n + i] for i in range(batch)]) for n in range(rounds)]
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for one in [batches[0], *batches]:
        there = to_device(one, device)
        started = clock()
        completed(there)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        times.append(clock() - started)
    return 1e3 * statistics.median(times[1:]) / batch


def loading(samples: GeneratorSamples, settings: GeneratorSettings, batches: int) -> tuple[float, float]:
    """Samples per second of wall time, and the workers' CPU milliseconds per sample."""
    task = Task()
    task.dataset, task.collate = samples, collate
    settings = replace(settings, max_train_steps=batches + 2)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    loader: DataLoader[Any] | None = make_loader(task, settings, 0, 0, 1)
    assert loader is not None
    stream: Iterator[Any] | None = start_loading(loader)
    assert stream is not None
    for _ in range(2):
        next(stream)
    started = time.perf_counter()
    for _ in range(batches):
        next(stream)
    seconds = time.perf_counter() - started
    del stream, loader  # ends the workers, so that their time is known
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    made = batches * settings.train_batch_size
    return made / seconds, 1e3 * spent / (made + 2 * settings.train_batch_size)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Print everything about one folder."""
    settings = GeneratorSettings.of(
        arguments.preset, triplets=str(folder), train_batch_size=arguments.batch, occluders=arguments.occluders,
        max_train_steps=10**6,
    )  # fmt: skip

    def make_samples(workers: int) -> GeneratorSamples:
        return GeneratorSamples(
            [folder], settings.mix, arguments.batch, settings.seed, workers=workers,
            corruption=CorruptionRates().scaled(settings.guidance_corruption), painted=settings.painted_glasses,
            augmentation=Augmentation(light=settings.light, occluded=settings.occluded, occluders=settings.occluders),
            guidance=settings.base == "light",
        )  # fmt: skip

    samples = make_samples(1)
    (dataset,) = samples.triplets.datasets
    print(f"\n{folder.name}: {dataset.size} px, covers {'stored' if dataset.knows_covers else 'not stored'}")
    spent = by_part(samples, arguments.samples)
    total = spent.pop("together")
    spent["rest"] = total - sum(spent.values())
    for name, value in spent.most_common():
        print(f"  {name:20s} {value:6.2f} ms")
    goal = 1.5 if dataset.size <= 128 else 3.0
    print(f"  {'total, on one core':20s} {total:6.2f} ms (goal {goal} at 128 and 256 px)")
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    on_device = completing(samples, arguments.batch, device, 5)
    print(f"  completed on {device.type}: {on_device:.2f} ms per sample, batches of {arguments.batch}")
    needed = total / 1000  # core seconds per sample
    for workers in arguments.workers:
        rate, cpu = loading(
            make_samples(workers), replace(settings, dataloader_num_workers=workers), arguments.batches
        )
        print(
            f"  {workers} workers: {rate:6.0f} samples/s, {cpu:.2f} ms of CPU per sample, start-up included"
        )
        needed = max(needed, workers / rate)
    needs = ", ".join(f"{rate:,} images/s: {rate * needed:.1f}" for rate in arguments.rates)
    print(f"  cores needed for {needs}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("triplets", type=Path, nargs="+", help="folders of triplets")
    parser.add_argument(
        "--preset", default="light", help="preset whose samples are made (default: %(default)s)"
    )
    parser.add_argument("--occluders", type=Path, help="folder of cut-outs, as for training")
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[1, 2], help="numbers of workers to measure (default: 1 2)"
    )
    parser.add_argument("--batch", type=int, default=16, help="default: %(default)s")
    parser.add_argument(
        "--batches", type=int, default=20, help="batches per data loader (default: %(default)s)"
    )
    parser.add_argument(
        "--samples", type=int, default=200, help="samples measured by part (default: %(default)s)"
    )
    parser.add_argument(
        "--rates",
        type=int,
        nargs="+",
        default=[500, 1000, 2000, 4000],
        help="assumed images per second of a network",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, one thread")
    for folder in arguments.triplets:
        measure(folder, arguments)


if __name__ == "__main__":
    main()
