"""Decide which level is trained: the next one begins after some steps or minutes, or when the loss hardly falls."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Self

import torch
from torch import Tensor, nn

from reliableswap.training.core.distributed import from_main

from .settings import PersonSettings


class LevelManager(nn.Module):
    """Tracks the level of every step. Its state is in buffers, so that a checkpoint holds it and a resumed run goes on
    as the original would have.

    level: the index of the level; began: the step of its first batch; over: whether the next step begins the next
    level; total, count: sum and number of the current window's losses; before: the mean of the previous window,
    infinite if there is none; seconds: how long the level has been trained, validations and checkpoints included, over
    all starts of the run.

    Clocks and losses of several ranks differ, so rank 0 decides for all, in `add`, which every rank calls.
    """

    def __init__(self, settings: PersonSettings, sides: tuple[int, ...], first: int) -> None:
        super().__init__()
        self.settings, self.sides = settings, sides
        self.register_buffer("level", torch.tensor(sides.index(first)))
        self.register_buffer("began", torch.tensor(0))
        self.register_buffer("total", torch.tensor(0.0))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("before", torch.tensor(math.inf))
        self.register_buffer("over", torch.tensor(False))
        self.register_buffer("seconds", torch.tensor(0.0, dtype=torch.float64))
        self.first = first
        self.step = 0  # the last one passed to `at`
        self._last_reading: float | None = None  # of the clock; None: this start has trained nothing yet
        self.register_state_dict_pre_hook(_count_seconds)

    level: Tensor
    began: Tensor
    total: Tensor
    count: Tensor
    before: Tensor
    over: Tensor
    seconds: Tensor

    @property
    def side(self) -> int:
        """The side of the current level."""
        return self.sides[int(self.level)]

    def at(self, step: int) -> tuple[int, float]:
        """Return a step's side and how far its level has faded in. Steps must not decrease; they may be repeated."""
        self.step = step
        if self._last_reading is None:
            self._last_reading = monotonic()
        if self._due(step):
            self.level += 1
            self.began.fill_(step)
            self._restart(math.inf)
            self.over.fill_(False)
            self.seconds.zero_()
            self._last_reading = monotonic()
        if self.side == self.first:
            return self.side, 1.0
        return self.side, min(1.0, (step - int(self.began) + 1) / self.settings.fade_steps)

    def add(self, loss: Tensor) -> None:
        """Take the loss of a batch and decide whether the level is over. With growth by steps, do nothing."""
        growth = self.settings.growth
        if growth == "steps":
            return
        if growth == "time":
            self.count_seconds()
        else:
            self.total += loss.detach().to(self.total)
            self.count += 1
        if not bool(self.over):
            self.over.fill_(from_main(self._time_is_up if growth == "time" else self._plateaued))

    def count_seconds(self) -> None:
        """With growth by time, add the time since the clock was last read, if this start has trained."""
        if self._last_reading is not None and self.settings.growth == "time":
            now = monotonic()
            self.seconds += now - self._last_reading
            self._last_reading = now

    def _apply(self, fn: Callable[..., Tensor], recurse: bool = True) -> Self:
        """Stay on the CPU: the level is read at every step, and reading it from a device waits for the device."""
        return self

    def _due(self, step: int) -> bool:
        """Whether the next level begins at this step."""
        if int(self.level) == len(self.sides) - 1:
            return False
        most = math.inf if self.settings.growth == "time" else self.settings.level_steps
        return bool(self.over) or step - int(self.began) >= most

    def _time_is_up(self) -> bool:
        """Whether the minutes of the level are over."""
        return float(self.seconds) >= 60 * self.settings.level_minutes

    def _plateaued(self) -> bool:
        """Whether a window has just ended in which the loss hardly fell."""
        if int(self.count) < self.settings.plateau_window * self.settings.gradient_accumulation_steps:
            return False
        mean, before = float(self.total) / int(self.count), float(self.before)
        self._restart(mean)
        spent = self.step + 1 - int(self.began)
        faded = spent >= self.settings.fade_steps + self.settings.plateau_window
        return faded and mean > before * (1 - self.settings.plateau_gain)

    def _restart(self, before: float) -> None:
        self.total.zero_()
        self.count.zero_()
        self.before.fill_(before)


def _count_seconds(levels: nn.Module, *_: object) -> None:
    """Update `seconds` before a checkpoint stores them."""
    assert isinstance(levels, LevelManager)
    levels.count_seconds()
