"""The shards of a run, and what became of each."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reliableswap.data.shards import shard_name


@dataclass(frozen=True)
class Shard:
    """Shard `number` of the `count` shards of a split. It holds the pairs of the slots from start to stop."""

    split: str
    number: int
    count: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return shard_name(self.split, self.number, self.count)


def list_shards(slots: Mapping[str, int], shard_pairs: int) -> list[Shard]:
    """List all shards of a run. slots: the number of pairs of each split."""
    shards = []
    for split, pairs in slots.items():
        count = -(-pairs // shard_pairs)
        for number in range(count):
            start = number * shard_pairs
            shards.append(Shard(split, number, count, start, min(start + shard_pairs, pairs)))
    return shards


@dataclass
class Tally:
    """What became of a shard's pairs, and the CPU seconds of each step.

    pairs_by_maker: number of kept pairs by the maker of their surrogates. source_counts: number of source surrogates
    kept and failed. source_cosine_sum: the sum of the kept source surrogates' cosines with their photos.
    """

    shard: Shard
    kept: int = 0
    attempts: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    pairs_by_maker: Counter[str] = field(default_factory=Counter)
    source_counts: Counter[str] = field(default_factory=Counter)
    source_cosine_sum: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the CPU time of a step."""
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

    def about(self) -> dict[str, Any]:
        """Return the tally for the shard's metadata, without times, which differ from run to run."""
        return {
            "split": self.shard.split,
            "slots": [self.shard.start, self.shard.stop],
            "kept": self.kept,
            "attempts": self.attempts,
            "drops": dict(sorted(self.drops.items())),
            "made_by": dict(sorted(self.pairs_by_maker.items())),
            "sources": {
                **dict(sorted(self.source_counts.items())),
                "likeness": round(self.source_cosine_sum, 4),
            },
        }
