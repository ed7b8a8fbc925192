"""Run tasks in this process or on the nodes of a cluster. A task measures one item with the run's instruments."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reliableswap.jobs.order import in_order
from reliableswap.jobs.shared import existing, require_shared
from reliableswap.jobs.units import Executor

if TYPE_CHECKING:
    from .examine import Examiner
    from .methods import Method
    from .natural.views import Viewer
    from .protocols.shots import Shot

_CHUNK = 8  # items per unit, which is seconds of work

Item = TypeVar("Item")
TaskResult = TypeVar("TaskResult")


@dataclass(frozen=True, eq=False)
class Instruments:
    """What a process needs to run tasks. viewer: None unless results are told from photos."""

    examiner: Examiner
    methods: Sequence[Method]
    viewer: Viewer | None = None


Task = Callable[[Instruments, Item], TaskResult]  # a module-level function: it is sent to nodes by name


class Work(Protocol):
    """Run a task on each item, and yield the results in order. shots: the shots that the task reads for an item.

    Neighbouring items whose last shots are from one file go to one process, so that clips are read forwards.
    """

    def __call__(
        self, task: Task[Item, TaskResult], items: Sequence[Item], shots: Callable[[Item], Sequence[Shot]], /
    ) -> Iterator[TaskResult]: ...


@dataclass(frozen=True, eq=False)
class LocalWork:
    """Run tasks in this process."""

    instruments: Instruments

    def __call__(
        self, task: Task[Item, TaskResult], items: Sequence[Item], shots: Callable[[Item], Sequence[Shot]]
    ) -> Iterator[TaskResult]:
        for item in items:
            yield task(self.instruments, item)


@dataclass(frozen=True)
class Chunk:
    """A unit of work: some items for one task. paths: files that the node must see."""

    number: int
    task: Task[Any, Any]
    items: Sequence[Any]
    paths: Sequence[Path]


@dataclass(eq=False)
class ChunkMaker:
    """Run chunks with instruments that are opened for the first one."""

    opens: Callable[[], Instruments]
    paths: Sequence[Path] = ()
    _instruments: Instruments | None = field(default=None, init=False, repr=False)

    def __call__(self, chunk: Chunk) -> tuple[int, list[Any]]:
        """Return the chunk's number, and the task's result for each item."""
        require_shared((*self.paths, *chunk.paths))
        if self._instruments is None:
            self._instruments = self.opens()
        return chunk.number, [chunk.task(self._instruments, item) for item in chunk.items]


@dataclass(frozen=True, eq=False)
class DistributedWork:
    """Run tasks on an executor's nodes, each of which opens its own instruments."""

    executor: Executor
    maker: ChunkMaker

    def __call__(
        self, task: Task[Item, TaskResult], items: Sequence[Item], shots: Callable[[Item], Sequence[Shot]]
    ) -> Iterator[TaskResult]:
        chunks = []
        for number, part in enumerate(cut(items, lambda item: shots(item)[-1].path)):
            paths = existing(shot.path for item in part for shot in shots(item))
            chunks.append(Chunk(number, task, part, paths))
        with closing(self.executor(self.maker, chunks)) as made:
            for found in in_order(made, range(len(chunks))):
                yield from found


def cut(items: Sequence[Item], file: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Cut items into chunks, in order. Neighbours from one file stay together, however many there are."""
    chunks: list[list[Item]] = []
    for item in items:
        if chunks and (len(chunks[-1]) < _CHUNK or file(chunks[-1][-1]) == file(item)):
            chunks[-1].append(item)
        else:
            chunks.append([item])
    return chunks
