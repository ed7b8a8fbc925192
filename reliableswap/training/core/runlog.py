"""The log of a run: losses and speed, held-out figures with a grid of pictures, and a tracker such as TensorBoard."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture
from reliableswap.provenance.record import Record
from reliableswap.provenance.seal import seal

from .settings import RunSettings

FIGURES_FILE = "figures.jsonl"
GRIDS = "grids"
_ACTION = "faces made by a network in training"

logger = logging.getLogger(__name__)


def find_tracker(report_to: str) -> str | None:
    """Return the name of the Accelerate tracker to use, or None."""
    if report_to == "auto":
        return "tensorboard" if importlib.util.find_spec("tensorboard") else None
    if report_to == "none":
        return None
    if not importlib.util.find_spec(report_to):
        raise ReliableSwapError(
            f"--report_to {report_to}: the package {report_to} is not installed; install it or use --report_to none"
        )
    return report_to


def drop_figures_after(step: int, folder: Path) -> None:
    """Remove from a run's figures those of steps after the checkpoint that it resumes from."""
    path = folder / FIGURES_FILE
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    if not kept:
        path.unlink()
    elif kept != lines:
        part = path.with_name(path.name + ".part")
        part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        part.replace(path)


def _step_of(line: str) -> float:
    """Return the step of a line of figures; infinity for a line that a killed process left incomplete."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf


class RunLog:
    """Logs on the main process; other ranks only accumulate."""

    def __init__(self, accelerator: Accelerator, settings: RunSettings, step: int) -> None:
        self.accelerator, self.settings = accelerator, settings
        self.samples_per_step = (
            settings.train_batch_size * settings.gradient_accumulation_steps * accelerator.num_processes
        )
        self.restart(step)

    def restart(self, step: int) -> None:
        """Begin a new averaging interval; after a validation, this leaves out the time that it took."""
        self.since, self.first_step = time.monotonic(), step
        self.sums: dict[str, Tensor] = {}
        self.taken: Tensor | None = None

    def info(self, text: str) -> None:
        if self.accelerator.is_main_process:
            logger.info(text)

    def add(self, step: int, losses: Mapping[str, Tensor], finite: Tensor) -> None:
        """Add the losses of a step, unless overflow skipped it (finite is 0); `log` reports their means."""
        for name, value in losses.items():
            value = torch.where(finite > 0, value.detach(), 0.0)
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.taken = finite if self.taken is None else self.taken + finite

    def log(self, step: int) -> None:
        """Log the means of the interval and begin a new one. This waits for the device."""
        steps = step - self.first_step
        taken = round(float(self.taken)) if self.taken is not None else 0
        means = {name: float(value) / max(taken, 1) for name, value in self.sums.items()}
        seconds = time.monotonic() - self.since
        rate = steps * self.samples_per_step / seconds
        seconds_left = (self.settings.max_train_steps - step) * seconds / steps
        left = f"{seconds_left / 60:.0f} min" if seconds_left >= 90 else f"{seconds_left:.0f} s"
        text = " ".join(f"{name} {value:.4f}" for name, value in means.items())
        if taken < steps:
            text += f" ({steps - taken} steps skipped: fp16 overflow)"
        self.info(
            f"{self.accelerator.device} {self.settings.mixed_precision} step {step}/"
            f"{self.settings.max_train_steps} {text} | {rate:.0f} images/s, {left} left"
        )
        self.accelerator.log({**means, "images_per_second": rate, "skipped_steps": steps - taken}, step=step)
        self.restart(step)

    def add_validation(
        self, step: int, figures: Mapping[str, float], grid: np.ndarray | None, warnings: Sequence[str]
    ) -> None:
        """Save and log the figures and the grid (H,W,3) uint8 of a validation. Call this on the main process only."""
        self.info(f"step {step} held-out: " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        for warning in warnings:
            logger.warning("warning: %s", warning)
        folder = self.settings.output_dir
        with (folder / FIGURES_FILE).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": step, **figures}) + "\n")
        self.accelerator.log({f"held_out/{name}": value for name, value in figures.items()}, step=step)
        if grid is None:
            return
        (folder / GRIDS).mkdir(exist_ok=True)
        path = folder / GRIDS / f"step-{step:07d}.png"
        seal(Picture(grid, name=path.name), path, Record(action=_ACTION), overwrite=True)
        for tracker in self.accelerator.trackers:
            if hasattr(tracker, "log_images"):
                layout = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                tracker.log_images({"held_out": grid[None]}, step=step, **layout)
