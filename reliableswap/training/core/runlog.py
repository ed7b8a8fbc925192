"""What a run says while it runs: log lines, figures, grids to look at, and a tracker such as TensorBoard."""

from __future__ import annotations

import importlib.util
import json
import sys
import time

import numpy as np
from accelerate import Accelerator
from torch import Tensor

from reliableswap.errors import ReliableSwapError
from reliableswap.media import Picture, write_picture

from .settings import RunSettings

FIGURES_FILE = "figures.jsonl"


def tracker_of(report_to: str) -> str | None:
    """The tracker's name for Accelerate, or None."""
    if report_to == "auto":
        return "tensorboard" if importlib.util.find_spec("tensorboard") else None
    if report_to == "none":
        return None
    if not importlib.util.find_spec(report_to):
        raise ReliableSwapError(f"--report_to {report_to}: the package {report_to} is not installed")
    return report_to


class Watch:
    """Speaks for the main process only."""

    def __init__(self, accelerator: Accelerator, settings: RunSettings, step: int) -> None:
        self.accelerator, self.settings = accelerator, settings
        self.samples = (
            settings.train_batch_size * settings.gradient_accumulation_steps * accelerator.num_processes
        )
        self.restart(step)

    def restart(self, step: int) -> None:
        """Begin a new stretch of steps to average over, without the time a validation took."""
        self.since, self.from_step = time.monotonic(), step
        self.sums: dict[str, Tensor] = {}

    def say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            print(text, file=sys.stderr, flush=True)

    def losses(self, step: int, losses: dict[str, Tensor]) -> None:
        """Add a step's losses; speak every so many."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
        if step % self.settings.logging_steps:
            return
        count = step - self.from_step
        seconds = time.monotonic() - self.since
        means = {name: float(value) / count for name, value in self.sums.items()}
        rate = count * self.samples / seconds
        left = (self.settings.max_train_steps - step) * seconds / count / 60
        text = " ".join(f"{name} {value:.4f}" for name, value in means.items())
        self.say(
            f"{self.accelerator.device} {self.settings.mixed_precision} step {step}/"
            f"{self.settings.max_train_steps} {text} | {rate:.0f} images/s, {left:.0f} min left"
        )
        self.accelerator.log({**means, "images_per_second": rate}, step=step)
        self.restart(step)

    def validated(
        self, step: int, figures: dict[str, float], grid: np.ndarray | None, warnings: list[str]
    ) -> None:
        """Keep a validation's figures and its grid; only the main process calls this."""
        self.say(f"step {step} held-out: " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        for warning in warnings:
            self.say(f"warning: {warning}")
        folder = self.settings.output_dir
        with (folder / FIGURES_FILE).open("a") as log:
            log.write(json.dumps({"step": step, **figures}) + "\n")
        if grid is not None:
            (folder / "grids").mkdir(exist_ok=True)
            path = folder / "grids" / f"step-{step:07d}.png"
            write_picture(Picture(grid, name=path.name), path, overwrite=True)
        self.accelerator.log({f"held_out/{name}": value for name, value in figures.items()}, step=step)
        if grid is not None:
            for tracker in self.accelerator.trackers:
                if hasattr(tracker, "log_images"):
                    layout = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                    tracker.log_images({"held_out": grid[None]}, step=step, **layout)
