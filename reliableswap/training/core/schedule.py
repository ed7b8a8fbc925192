"""Which samples a step takes, and at which rate it learns."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch.utils.data import Sampler

from reliableswap.errors import ReliableSwapError

SCHEDULES = ("cosine", "linear", "constant")


class Positions(Sampler[list[int]]):
    """Batches of sample positions for one rank, from any step on: no state to save, nothing to skip over.

    A step takes `pieces` batches of every rank: more than one accumulates their gradients.
    """

    def __init__(
        self, first_step: int, last_step: int, batch: int, rank: int, ranks: int, pieces: int = 1
    ) -> None:
        self.first, self.last = first_step * pieces, last_step * pieces
        self.batch, self.rank, self.ranks = batch, rank, ranks

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for piece in range(self.first, self.last):
            start = (piece * self.ranks + self.rank) * self.batch
            yield list(range(start, start + self.batch))


def rate_share(step: int, schedule: str, warmup_steps: int, last_step: int) -> float:
    """The share of the peak learning rate at a step: linear warm-up, then the schedule."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, last_step - warmup_steps))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if schedule == "linear":
        return 1 - done
    if schedule == "constant":
        return 1.0
    raise ReliableSwapError(f"unknown --lr_scheduler {schedule!r}; choose one of {', '.join(SCHEDULES)}")
