"""Measure training steps on a GPU: seconds, images per second, how busy the GPU is, and peak memory.

    python benchmarks/device_step.py TRIPLETS [--cases light layered simswap faceshifter]

TRIPLETS is a folder of small triplets; their pictures are enlarged on the device to the sizes that are measured. The
steps are those of `train_accelerate.py generator` with all losses of the presets, optimizer and average included, on
batches that wait in memory. SimSwap and FaceShifter are as wide as published, at 256 px, with an IResNet-100 as their
identity encoder; its weights are random, so nothing useful is learnt. Busy is the share of the time in which some
kernel runs, by PyTorch's profiler: a training that leaves the GPU idle can share it with others.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.models import IdentityEncoder
from reliableswap.training.core.trainer import Trainer
from reliableswap.training.tasks.generator.build import LoadedNetworks, build_generator
from reliableswap.training.tasks.generator.settings import GeneratorSettings
from reliableswap.training.tasks.generator.task import GeneratorTask

_ENLARGED = (
    "target", "source", "identity_face", "guidance", "truth", "face_mask", "front", "glasses", "plain",
)  # fmt: skip


class EnlargedTask(GeneratorTask):
    """Trains on the pictures of small triplets, resized."""

    side = 0

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        batch = super().prepare(batch)
        for name in _ENLARGED:
            if batch[name].shape[-1] != self.side:
                batch[name] = F.interpolate(batch[name], size=(self.side, self.side), mode="bilinear")
        batch["mesh"] = batch["mesh"] * (self.side / self.sizes[0])
        return batch


def make_trainer(settings: GeneratorSettings, side: int, identity: IdentityEncoder | None = None) -> Trainer:
    """Set up a training on pictures of that side. identity: an encoder to use instead of the settings'."""
    networks = LoadedNetworks.load(settings)
    if identity is not None:
        networks.identity = identity
    torch.manual_seed(settings.seed)
    task = EnlargedTask(settings, networks)
    task.side = side
    generator = build_generator(settings, networks.identity, networks.fixer, [side], task.held_out)
    return Trainer(generator, task, settings)


def measure(trainer: Trainer, steps: int) -> dict[str, float]:
    """Measure seconds per step, the share of them that the device is busy, and peak memory in GiB."""
    task, device = trainer.task, trainer.accelerator.device
    size = trainer.settings.train_batch_size
    if device.type == "cuda":
        gc.collect()  # frees the previous trainer
        torch.cuda.reset_peak_memory_stats(device)
    batches = itertools.cycle(
        [task.collate([task.dataset[size * n + i] for i in range(size)]) for n in range(2)]
    )
    synchronise: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def timed_steps(count: int) -> float:
        synchronise()
        started = time.perf_counter()
        for _ in range(count):
            task.start(trainer.step, device)
            trainer._step(batches)
        synchronise()
        return (time.perf_counter() - started) / count

    timed_steps(3)
    found = {"seconds": timed_steps(steps)}
    if device.type == "cuda":
        found["memory"] = torch.cuda.max_memory_allocated(device) / 2**30
        activities = [torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profile:
            timed_steps(3)
        kernels = sum(event.self_device_time_total for event in profile.key_averages()) / 3e6
        found["busy"] = kernels / found["seconds"]
    return found


def report(name: str, settings: GeneratorSettings, found: Mapping[str, float]) -> None:
    """Print a line."""
    batch = settings.train_batch_size
    words = [f"{found['seconds']:.4f} s/step", f"{batch / found['seconds']:.0f} images/s"]
    if "memory" in found:
        words += [f"busy {found['busy']:.0%}", f"{found['memory']:.2f} GiB"]
    print(f"{name}, batches of {batch}, {settings.mixed_precision}: {', '.join(words)}", flush=True)


# The side of the pictures, and samples in a batch; None: the preset's.
CASES: dict[str, tuple[int, int | None]] = {
    "light": (128, None), "layered": (128, None), "simswap": (256, 8), "faceshifter": (256, 8),
}  # fmt: skip


def measure_case(preset: str, triplets: Path, batch: int | None, steps: int) -> None:
    """Measure one of CASES and print it."""
    side, usual = CASES[preset]
    chosen = batch or usual
    options: dict[str, Any] = {} if chosen is None else {"train_batch_size": chosen}
    with tempfile.TemporaryDirectory() as folder:
        settings = GeneratorSettings.of(
            preset, triplets=str(triplets), validation_pairs=0, report_to="none", dataloader_num_workers=0,
            lower_face_weight=0.0, output_dir=Path(folder), **options,
        )  # fmt: skip
        published = None
        if settings.base != "light":
            torch.manual_seed(0)
            published = IdentityEncoder(body="iresnet100", embedding_size=512)
        found = measure(make_trainer(settings, side, published), steps)
    report(f"{preset} at {side} px", settings, found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("triplets", type=Path, help="folder of triplets of 64 px or more")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), help="default: all")
    parser.add_argument("--batch", type=int, help="samples per batch (default: the preset's, or 8 at 256 px)")
    parser.add_argument("--steps", type=int, default=10, help="default: %(default)s")
    arguments = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU (no GPU)"
    print(f"{device}, torch {torch.__version__}", flush=True)
    for preset in arguments.cases:
        measure_case(preset, arguments.triplets, arguments.batch, arguments.steps)


if __name__ == "__main__":
    main()
