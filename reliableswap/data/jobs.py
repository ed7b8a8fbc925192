"""Units of work, spread over ranks and processes. What is made of a unit never depends on who makes it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import cv2
import torch

from reliableswap.errors import ReliableSwapError

Unit = TypeVar("Unit")
Made = TypeVar("Made", covariant=True)


class Maker(Protocol[Made]):
    """Can be sent to another process; loads what it needs there, on its first unit."""

    def __call__(self, unit: Any, /) -> Made: ...


@dataclass(frozen=True)
class Place:
    """Which of the launched processes this is."""

    rank: int = 0
    ranks: int = 1

    @classmethod
    def from_environment(cls) -> Place:
        """As torchrun and accelerate launch say it in RANK and WORLD_SIZE."""
        place = cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
        if not 0 <= place.rank < place.ranks:
            raise ReliableSwapError(
                f"RANK is {place.rank} of WORLD_SIZE {place.ranks}; unset both, or launch with torchrun"
            )
        return place

    @property
    def first(self) -> bool:
        return self.rank == 0


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV and torch on one thread: processes share the cores better, and sums come out the same everywhere."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


_maker: Maker[Any] | None = None  # one a worker process


def _begin(maker: Maker[Any]) -> None:
    global _maker
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _maker = maker


def _make(unit: Any) -> Any:
    assert _maker is not None
    return _maker(unit)


def make_all(maker: Maker[Made], units: Sequence[Any], workers: int) -> Iterator[Made]:
    """What is made of every unit, as it gets done."""
    if workers < 1:
        raise ReliableSwapError(f"workers is {workers}; give at least 1")
    if workers == 1 or len(units) < 2:
        with one_thread():
            yield from map(maker, units)
        return
    # Spawned, not forked: a fork copies torch's locks in whatever state they are.
    with multiprocessing.get_context("spawn").Pool(
        min(workers, len(units)), initializer=_begin, initargs=(maker,)
    ) as pool:
        yield from pool.imap_unordered(_make, units)


@dataclass(frozen=True)
class Crew(Generic[Unit]):
    """Everybody who works on one list of units: rank r of R takes every R-th, with `workers` processes."""

    place: Place
    workers: int
    patience: float = (
        60.0  # seconds without a newly finished unit, after which another rank's work is done here
    )
    look_every: float = 0.5

    def mine(self, units: Sequence[Unit]) -> Sequence[Unit]:
        return units[self.place.rank :: self.place.ranks]

    def complete(
        self, maker: Maker[Made], units: Sequence[Unit], done: Callable[[Unit], bool], wait: bool
    ) -> Iterator[Made]:
        """Make this rank's units that are not done; then, if told so, wait until all units of all ranks are.

        A rank may have died. After some time without progress its units are made here: files are replaced whole and
        their content is the same whoever writes them, so making one twice does no harm.
        """
        yield from make_all(maker, [unit for unit in self.mine(units) if not done(unit)], self.workers)
        if not wait:
            return
        missing = [unit for unit in units if not done(unit)]
        since = time.monotonic()
        while missing:
            time.sleep(self.look_every)
            left = [unit for unit in missing if not done(unit)]
            if len(left) < len(missing):
                missing, since = left, time.monotonic()
            elif time.monotonic() - since > self.patience:
                with one_thread():
                    yield maker(missing[-1])
