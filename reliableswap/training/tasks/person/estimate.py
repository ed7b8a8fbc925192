"""Estimate, before a run starts, how long it takes on this machine and how much disk and memory it needs."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from reliableswap.models.comb_autoencoder import CombAutoencoder
from reliableswap.models.comb_levels import MAP, coarsest
from reliableswap.training.core.batches import to_device

from .settings import PersonSettings

if TYPE_CHECKING:
    from .task import PersonTask

_SLOW_STEP = 6.0  # seconds of a step above which larger levels are not measured but extrapolated
_QUICK_STEP = 0.3  # seconds of a step below which it is measured again
_ACTIVATION_FACTOR = 3  # peak memory over that of the maps, in two trainings on an H100: docs/person.md
_COPIES = 5  # of the weights in memory: themselves, gradients, AdamW's two moments, and the average
_MIB = 2**20


@dataclass(frozen=True)
class Level:
    """A level of a run: its steps from `first` to `end` - 1, seconds per step, and whether these were measured."""

    side: int
    first: int
    end: int
    seconds: float
    measured: bool


def plan(
    sides: tuple[int, ...],
    first: int,
    settings: PersonSettings,
    step_time: Callable[[int, Level | None], tuple[float, bool]],
) -> list[Level]:
    """Return the levels that a run reaches; with growth by plateau, as late as they can come.

    step_time: maps a side and the previous level to the seconds of a step, and whether they were measured.
    """
    found: list[Level] = []
    for side in sides[sides.index(first) :]:
        before = found[-1] if found else None
        begin = before.end if before else 0
        if begin >= settings.max_train_steps:
            break
        seconds, measured = step_time(side, before)
        steps = settings.level_steps
        if settings.growth == "time":
            steps = math.ceil(60 * settings.level_minutes / seconds)
        end = settings.max_train_steps if side == sides[-1] else begin + steps
        found.append(Level(side, begin, min(end, settings.max_train_steps), seconds, measured))
    return found


def estimate(network: CombAutoencoder, task: PersonTask, settings: PersonSettings) -> Iterator[str]:
    """Measure a step of each level; yield lines with the sizes, and with the time at which each level begins."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    device = device or torch.device("cpu")
    yield _sizes(network, settings)
    yield f"on {device.type}, {settings.train_batch_size} frames per batch:"
    clock, found = 0.0, measure(network, task, settings, device)
    for level in found:
        start, clock = clock, clock + (level.end - level.first) * level.seconds
        each = f"{level.seconds:.2f} s per step" + ("" if level.measured else " (extrapolated)")
        about = "about " if settings.growth == "time" and level.first else ""
        yield f"  {level.side:>4} px from {about}step {level.first:,} on, after {format_duration(start)}; {each}"
    latest = " at most" if settings.growth == "plateau" else ""
    yield f"  step {found[-1].end:,} after {format_duration(clock)}{latest}, without checkpoints and validations"
    if found[-1].side < settings.size:
        unit = "minutes" if settings.growth == "time" else "steps"
        yield f"  {settings.size} px is not reached: raise --max_train_steps or lower --level_{unit}"


def measure(
    network: CombAutoencoder, task: PersonTask, settings: PersonSettings, device: torch.device
) -> list[Level]:
    """Return the levels of the run with the seconds that a step takes."""
    trial = copy.deepcopy(network).to(memory_format=torch.channels_last).to(device).train()
    task.move_to(device)  # not `start`, which starts the clock of the levels
    samples = [task.dataset[i] for i in range(settings.train_batch_size)]
    batch = task.prepare(to_device(torch.utils.data.default_collate(samples), device))

    def step_time(side: int, before: Level | None) -> tuple[float, bool]:
        if before is not None and before.seconds > _SLOW_STEP:
            return before.seconds * _multiplications(network, side) / _multiplications(
                network, before.side
            ), False
        share = 1 / settings.detail_every if side >= settings.detail_size else 0.0
        seconds = sum(
            part * _measured(trial, task, settings, batch, side, detailed)
            for detailed, part in ((False, 1 - share), (True, share))
            if part
        )
        return seconds * settings.gradient_accumulation_steps, True

    return plan(network.encoder.sides, task.levels.first, settings, step_time)


def _measured(
    trial: nn.Module,
    task: PersonTask,
    settings: PersonSettings,
    batch: dict[str, torch.Tensor],
    side: int,
    detailed: bool,
) -> float:
    """Measure the seconds of a step. A quick one is measured twice more, because a level's first step warms up.

    So is every step on a GPU, where the first one loads the kernels.
    """
    kind = batch["picture"].device.type
    dtype = torch.float16 if settings.mixed_precision == "fp16" else torch.bfloat16

    def step() -> float:
        began = time.perf_counter()
        with torch.autocast(kind, dtype, enabled=settings.mixed_precision != "no"):
            losses = task.losses_at(trial, batch, side, detailed)
        torch.stack(list(losses.values())).sum().backward()
        if kind != "cpu":
            torch.accelerator.synchronize()
        trial.zero_grad(set_to_none=True)
        return time.perf_counter() - began

    seconds = step()
    return seconds if kind == "cpu" and seconds >= _QUICK_STEP else min(step(), step())


def _multiplications(network: CombAutoencoder, side: int) -> int:
    """Count the multiplications of one picture's forward pass at a level."""
    halves = (network.encoder, network.decoder(network.people[0]))
    return sum(
        layer.weight.numel() * int(name) ** 2
        for half in halves
        for name, level in half.levels.items()
        if int(name) <= side
        for layer in level.modules()
        if isinstance(layer, nn.Conv2d)
    )


def _activations(network: CombAutoencoder, settings: PersonSettings) -> float:
    """Estimate the MiB that a batch takes at the largest level.

    These are the maps of each convolution, its norm and its leaky ReLU, times a factor for autocast's copies and the
    losses.
    """
    halves = (network.encoder, network.decoder(network.people[0]))
    shrunk = coarsest(settings.blocks) // MAP
    maps = sum(
        layer.out_channels * (int(name) // shrunk) ** 2
        for half in halves
        for name, level in half.levels.items()
        for layer in level.modules()
        if isinstance(layer, nn.Conv2d)
    )
    kept = 2 if settings.norm == "none" else 3
    size = 4 if settings.mixed_precision == "no" else 2
    return _ACTIVATION_FACTOR * maps * kept * size * settings.train_batch_size / _MIB


def _sizes(network: CombAutoencoder, settings: PersonSettings) -> str:
    weights = network.parameter_count * 4 / _MIB
    one = network.decoder(network.people[0]).parameter_count * 2 / _MIB
    people = len(network.people)
    return (
        f"{people} decoder{'s' * (people != 1)}, {network.parameter_count / 1e6:.1f} million parameters: "
        f"{weights:,.0f} MiB on disk, {weights / 2:,.0f} in float16 ({one:,.1f} per decoder); checkpoints "
        f"{weights * (_COPIES - 1) * settings.checkpoints_total_limit:,.0f} MiB; memory about "
        f"{(weights * _COPIES + _activations(network, settings)) / 1024:,.1f} GiB"
    )


def format_duration(seconds: float) -> str:
    """Format a duration in seconds."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
