"""The order in which rows of shards become samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from reliableswap.errors import ReliableSwapError

WINDOW = 4  # shards whose rows are mixed with each other


class RowOrder:
    """Maps sample i to a shard and a row. Every row comes once per epoch, and there is no last epoch.

    counts: the number of rows of each shard. Batch k reads only rows of lane k mod `lanes`, so with ranks x workers
    lanes every process reads its own rows. Lanes differ in length by one row at most, so that all rows come equally
    often. They are cut from the concatenated rows of all shards, so a lane reads few shards, and two lanes may share
    one.
    """

    def __init__(self, counts: Sequence[int], seed: int, lanes: int = 1, batch: int = 1) -> None:
        if not 1 <= lanes <= sum(counts) or batch < 1:
            raise ReliableSwapError(
                f"{sum(counts)} rows can't be shared by {lanes} data-loader workers with batches of {batch}; use fewer "
                "processes or workers, or more rows"
            )
        self.counts, self.seed, self.lanes, self.batch = list(counts), seed, lanes, batch
        self._pieces = lane_pieces(counts, lanes)
        self._sizes = [sum(len(piece.rows) for piece in pieces) for pieces in self._pieces]
        self._epoch = lru_cache(maxsize=2 * lanes)(self._new_epoch)

    def place(self, i: int) -> tuple[int, int]:
        """Shard and row of sample i."""
        epoch, position = self._position(i)
        return epoch.at(position)

    def neighbour(self, i: int, rng: np.random.Generator) -> tuple[int, int]:
        """Shard and row of a random sample among those read together with sample i."""
        epoch, position = self._position(i)
        return epoch.at(epoch.neighbour(position, rng))

    def _position(self, i: int) -> tuple[_Epoch, int]:
        block, offset = divmod(i, self.batch)
        turn, lane = divmod(block, self.lanes)
        epoch, position = divmod(turn * self.batch + offset, self._sizes[lane])
        return self._epoch(lane, epoch), position

    def _new_epoch(self, lane: int, epoch: int) -> _Epoch:
        """Shuffle a lane's shards, and the rows of WINDOW consecutive shards with each other."""
        rng = np.random.default_rng([self.seed, 0, lane, epoch])
        own = self._pieces[lane]
        order = rng.permutation(len(own))
        windows = []
        for start in range(0, len(order), WINDOW):
            pieces = [own[k] for k in order[start : start + WINDOW]]
            rows = [np.column_stack([np.full(len(one.rows), one.shard), one.rows]) for one in pieces]
            windows.append(rng.permutation(np.concatenate(rows)))
        return _Epoch(np.concatenate(windows), np.cumsum([0, *map(len, windows)]))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_epoch"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epoch = lru_cache(maxsize=2 * self.lanes)(self._new_epoch)


@dataclass(frozen=True)
class Piece:
    """The rows of a shard that a lane reads."""

    shard: int
    rows: range


def lane_pieces(counts: Sequence[int], lanes: int) -> list[list[Piece]]:
    """Return what each lane reads. Shards of equal size whose number is a multiple of `lanes` are dealt out in turn."""
    filled = [shard for shard, count in enumerate(counts) if count]
    line = [shard for lane in range(lanes) for shard in filled[lane::lanes]]
    ends = np.cumsum([counts[shard] for shard in line])
    cuts = [lane * int(ends[-1]) // lanes for lane in range(lanes + 1)]
    found: list[list[Piece]] = []
    for low, high in pairwise(cuts):
        pieces = []
        for shard, end in zip(line, ends.tolist(), strict=True):
            start = end - counts[shard]
            rows = range(max(low, start) - start, min(high, end) - start)
            if rows:
                pieces.append(Piece(shard, rows))
        found.append(pieces)
    return found


@dataclass(frozen=True, eq=False)
class _Epoch:
    """rows (N,2): shard and row by position. rows[bounds[k]:bounds[k+1]] are one window, which is read together."""

    rows: np.ndarray
    bounds: np.ndarray

    def at(self, position: int) -> tuple[int, int]:
        shard, row = self.rows[position]
        return int(shard), int(row)

    def neighbour(self, position: int, rng: np.random.Generator) -> int:
        window = int(np.searchsorted(self.bounds, position, side="right")) - 1
        return int(rng.integers(self.bounds[window], self.bounds[window + 1]))
