"""Which level is trained: the next one comes after a number of steps, or when the loss hardly falls any more."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from .settings import PersonSettings


class LevelManager(nn.Module):
    """Knows the level of every step. What it has seen is in buffers, so a checkpoint holds it and a resumed run goes on
    as the run would have.

    level: the number of the level; began: the step of its first batch; total, count: losses of the present window;
    before: the mean of the window before, infinite if there is none.
    """

    def __init__(self, settings: PersonSettings, sides: tuple[int, ...], first: int) -> None:
        super().__init__()
        self.settings, self.sides = settings, sides
        self.register_buffer("level", torch.tensor(sides.index(first)))
        self.register_buffer("began", torch.tensor(0))
        self.register_buffer("total", torch.tensor(0.0))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("before", torch.tensor(math.inf))
        self.first = first

    level: Tensor
    began: Tensor
    total: Tensor
    count: Tensor
    before: Tensor

    @property
    def side(self) -> int:
        """The side of the level that is trained now."""
        return self.sides[int(self.level)]

    def at(self, step: int) -> tuple[int, float]:
        """The side for a step, and how far its level has faded in; steps come in their order, some more than once."""
        if self._due(step):
            self.level += 1
            self.began.fill_(step)
            self._restart(math.inf)
        if self.side == self.first:
            return self.side, 1.0
        return self.side, min(1.0, (step - int(self.began) + 1) / self.settings.fade_steps)

    def _apply(self, fn: Callable[..., Tensor], recurse: bool = True) -> Self:
        """Stay on the CPU: the level is asked for at every step, and to ask a device is to wait for it."""
        return self

    def add(self, loss: Tensor) -> None:
        """Take the loss of a batch, for the plateau; nothing is looked at if levels come by steps."""
        if self.settings.growth == "steps":
            return
        self.total += loss.detach().to(self.total)
        self.count += 1

    def _due(self, step: int) -> bool:
        """Whether the next level begins at this step."""
        if int(self.level) == len(self.sides) - 1:
            return False
        spent = step - int(self.began)
        if spent >= self.settings.level_steps:
            return True
        batches = self.settings.plateau_window * self.settings.gradient_accumulation_steps
        if self.settings.growth == "steps" or int(self.count) < batches:
            return False
        mean, before = float(self.total) / int(self.count), float(self.before)
        faded = spent >= self.settings.fade_steps + self.settings.plateau_window
        self._restart(mean)
        return faded and mean > before * (1 - self.settings.plateau_gain)

    def _restart(self, before: float) -> None:
        self.total.zero_()
        self.count.zero_()
        self.before.fill_(before)
