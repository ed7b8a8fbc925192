"""Work split into units and spread over ranks and processes.

The contract: units are numbered. A unit's output depends only on its number and the run's seed. It is written to a
temporary file beside its place and renamed. A unit whose output exists is skipped. So any process may make a unit, a
stopped run resumes, and making a unit twice does no harm. An executor makes units: `Processes` on this machine, or
`ray_cluster.RayCluster` on several.

Small results, such as measurements, may go back to the caller instead of into a file; a stopped run then starts over.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import cv2
import torch

from reliableswap.errors import ReliableSwapError

_POLL_SECONDS = 1.0  # seconds without a result after which to check that all workers are alive
_ONCE_FACTOR = 10  # times `patience`: what `Crew.once` waits for takes longer than a unit

Unit = TypeVar("Unit")
Made = TypeVar("Made", covariant=True)


class Maker(Protocol[Made]):
    """Makes a unit. It can be sent to another process, where it loads what it needs on its first unit."""

    def __call__(self, unit: Any, /) -> Made: ...


class Executor(Protocol):
    """Makes every unit, and yields each result as soon as it is ready, in any order.

    Closing the generator stops the work, including units that have begun.
    """

    def __call__(self, maker: Maker[Made], units: Sequence[Any], /) -> Generator[Made, None, None]: ...


@dataclass(frozen=True)
class Rank:
    """The rank of this process among the launched ones."""

    index: int = 0
    world_size: int = 1

    @classmethod
    def from_environment(cls) -> Rank:
        """Read the rank that torchrun or accelerate sets in RANK and WORLD_SIZE."""
        found = cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
        if not 0 <= found.index < found.world_size:
            raise ReliableSwapError(
                f"RANK is {found.index}, but WORLD_SIZE is {found.world_size}; unset both, or launch with torchrun"
            )
        return found

    @property
    def first(self) -> bool:
        return self.index == 0


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run OpenCV and torch on one thread: processes share the cores better, and sums do not depend on thread counts."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


_maker: Maker[Any] | None = None  # of this worker process
_opening = threading.Lock()  # held while a pool opens, to tell which new processes are its own


def _init_worker(maker: Maker[Any]) -> None:
    global _maker
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _maker = maker


def _make_unit(unit: Any) -> Any:
    assert _maker is not None
    return _maker(unit)


def make_all(maker: Maker[Made], units: Sequence[Any], workers: int) -> Generator[Made, None, None]:
    """Make every unit with `workers` processes; yield each result as soon as it is ready, in any order."""
    if workers < 1:
        raise ReliableSwapError(f"workers is {workers}; give at least 1")
    if workers == 1 or len(units) < 2:
        with one_thread():
            yield from map(maker, units)
        return
    # Spawned, not forked: a fork copies torch's locks in whatever state they are in.
    context = multiprocessing.get_context("spawn")
    with _opening:
        before = multiprocessing.active_children()
        pool = context.Pool(min(workers, len(units)), initializer=_init_worker, initargs=(maker,))
        crew = [one for one in multiprocessing.active_children() if one not in before]
    with pool:
        results = pool.imap_unordered(_make_unit, units)
        while True:
            try:
                yield results.next(timeout=_POLL_SECONDS)
            except StopIteration:
                return
            except multiprocessing.TimeoutError:
                _check_alive(crew)


def _check_alive(crew: Sequence[Any]) -> None:
    """Raise if a worker process of a pool has ended: the pool would wait forever for its unit."""
    codes = sorted({one.exitcode for one in crew if one.exitcode is not None})
    if codes:
        raise ReliableSwapError(
            f"a worker process ended early (exit code {codes[0]}), perhaps out of memory; use fewer workers and "
            'start again. A script that starts workers needs `if __name__ == "__main__":`'
        )


@dataclass(frozen=True)
class Processes:
    """The executor of this machine: `workers` processes."""

    workers: int

    def __call__(self, maker: Maker[Made], units: Sequence[Any]) -> Generator[Made, None, None]:
        return make_all(maker, units, self.workers)


@dataclass(frozen=True)
class Crew(Generic[Unit]):
    """All ranks that work on one list of units, with `workers` processes each: rank r of R makes every R-th unit.

    executor: makes a rank's units instead of `workers` processes.
    patience: seconds without a newly finished unit, or three times a unit's duration here if that is longer, after
    which other ranks' units are made here. A rank may have died.
    """

    rank: Rank
    workers: int
    patience: float = 60.0
    poll_seconds: float = 0.5  # seconds
    executor: Executor | None = None
    # Per unit, one entry for each list of units.
    _seconds: list[float] = field(default_factory=list, compare=False, repr=False)

    def mine(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return this rank's units."""
        return units[self.rank.index :: self.rank.world_size]

    def make_own(
        self, maker: Maker[Made], units: Sequence[Unit], done: Callable[[Unit], bool]
    ) -> Iterator[Made]:
        """Make this rank's units that are not done."""
        executor = self.executor or Processes(self.workers)
        todo = [unit for unit in self.mine(units) if not done(unit)]
        began, made = time.monotonic(), 0
        for result in executor(maker, todo):
            made += 1
            yield result
        if made:
            self._seconds.append((time.monotonic() - began) / made * min(self.workers, made))

    def once(self, make: Callable[[], object], done: Callable[[], bool]) -> None:
        """Let rank 0 make one thing for all ranks, and wait for it; make it here if rank 0 takes too long."""
        if self.rank.first:
            if not done():
                make()
            return
        since = time.monotonic()
        while not done():
            if time.monotonic() - since > _ONCE_FACTOR * self.patience:
                make()
                return
            time.sleep(self.poll_seconds)

    def wait_for_others(
        self, maker: Maker[Made], units: Sequence[Unit], done: Callable[[Unit], bool]
    ) -> Iterator[Made]:
        """Wait until the units of all ranks are done, and make those that no rank makes; yield what is made here."""
        if self.rank.world_size == 1:
            return  # `done` may miss what was made here: folder listings can lag behind
        missing = [unit for unit in units if not done(unit)]
        since = time.monotonic()
        patience = max(self.patience, *(3 * seconds for seconds in self._seconds[-1:]), 0.0)
        while missing:
            time.sleep(self.poll_seconds)
            left = [unit for unit in missing if not done(unit)]
            if len(left) < len(missing):
                missing, since = left, time.monotonic()
            while missing and time.monotonic() - since > patience:
                # Once the others are silent, make their units until one of them finishes a unit.
                with one_thread():
                    yield maker(missing.pop())
                left = [unit for unit in missing if not done(unit)]
                if len(left) < len(missing):
                    missing, since = left, time.monotonic()
