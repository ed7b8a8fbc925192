"""The order in which rows of shards become samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from reliableswap.errors import ReliableSwapError

WINDOW = 4  # shards whose rows are mixed with each other


class RowOrder:
    """Maps sample i to a shard and a row; every row comes once per epoch, and there is no last epoch.

    counts: the rows of each shard. Batch number k reads the shards of lane k mod `lanes` only, so with ranks x workers
    lanes every process reads its own shards.
    """

    def __init__(self, counts: Sequence[int], seed: int, lanes: int = 1, batch: int = 1) -> None:
        filled = sum(count > 0 for count in counts)
        if not 1 <= lanes <= filled or batch < 1:
            raise ReliableSwapError(
                f"{lanes} lanes of batches of {batch} can't share {filled} shards; use fewer lanes or smaller shards"
            )
        self.counts, self.seed, self.lanes, self.batch = list(counts), seed, lanes, batch
        self._epoch = lru_cache(maxsize=2 * lanes)(self._new_epoch)

    def place(self, i: int) -> tuple[int, int]:
        """Shard and row of sample i."""
        epoch, position = self._position(i)
        return epoch.at(position)

    def neighbour(self, i: int, rng: np.random.Generator) -> tuple[int, int]:
        """Shard and row of a random sample among those that are read together with sample i."""
        epoch, position = self._position(i)
        return epoch.at(epoch.neighbour(position, rng))

    def _position(self, i: int) -> tuple[_Epoch, int]:
        block, offset = divmod(i, self.batch)
        turn, lane = divmod(block, self.lanes)
        rows = sum(self.counts[s] for s in self._lane_shards(lane))
        epoch, position = divmod(turn * self.batch + offset, rows)
        return self._epoch(lane, epoch), position

    def _lane_shards(self, lane: int) -> list[int]:
        filled = [s for s, count in enumerate(self.counts) if count]
        return filled[lane :: self.lanes]

    def _new_epoch(self, lane: int, epoch: int) -> _Epoch:
        """Shards in a random order, with the rows of a few of them at a time mixed."""
        rng = np.random.default_rng([self.seed, 0, lane, epoch])
        shards = rng.permutation(self._lane_shards(lane))
        windows = []
        for start in range(0, len(shards), WINDOW):
            pieces = [
                np.column_stack([np.full(self.counts[s], s), np.arange(self.counts[s])])
                for s in shards[start : start + WINDOW]
            ]
            windows.append(rng.permutation(np.concatenate(pieces)))
        return _Epoch(np.concatenate(windows), np.cumsum([0, *map(len, windows)]))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_epoch"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epoch = lru_cache(maxsize=2 * self.lanes)(self._new_epoch)


@dataclass(frozen=True, eq=False)
class _Epoch:
    """rows (N,2): shard and row by position. Rows bounds[k] to bounds[k+1] are one window, which is read together."""

    rows: np.ndarray
    bounds: np.ndarray

    def at(self, position: int) -> tuple[int, int]:
        shard, row = self.rows[position]
        return int(shard), int(row)

    def neighbour(self, position: int, rng: np.random.Generator) -> int:
        window = int(np.searchsorted(self.bounds, position, side="right")) - 1
        return int(rng.integers(self.bounds[window], self.bounds[window + 1]))
