"""Who measures: this process, or the nodes of a cluster. A task measures one item with the run's instruments."""

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

_CHUNK = 8  # items of a unit: seconds of work

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Instruments:
    """What a process measures with. viewer: None unless results are told from photos."""

    examiner: Examiner
    methods: Sequence[Method]
    viewer: Viewer | None = None


Task = Callable[[Instruments, Item], Found]  # of a module, as it is sent by its name


class Work(Protocol):
    """Yields what a task finds for each item, in their order. shots: the pictures that a task reads for an item.

    Neighbouring items whose last shot is of the same file are measured by the same process: clips are read forwards.
    """

    def __call__(
        self, task: Task[Item, Found], items: Sequence[Item], shots: Callable[[Item], Sequence[Shot]], /
    ) -> Iterator[Found]: ...


@dataclass(frozen=True, eq=False)
class Here:
    """The work of this process."""

    instruments: Instruments

    def __call__(
        self, task: Task[Item, Found], items: Sequence[Item], shots: Callable[[Item], Sequence[Shot]]
    ) -> Iterator[Found]:
        for item in items:
            yield task(self.instruments, item)


@dataclass(frozen=True)
class Chunk:
    """A unit: some items of a task. paths: what a node has to see."""

    number: int
    task: Task[Any, Any]
    items: Sequence[Any]
    paths: Sequence[Path]


@dataclass(eq=False)
class ChunkMaker:
    """Measures chunks with instruments that it opens for the first."""

    opens: Callable[[], Instruments]
    paths: Sequence[Path] = ()
    _instruments: Instruments | None = field(default=None, init=False, repr=False)

    def __call__(self, chunk: Chunk) -> tuple[int, list[Any]]:
        """The chunk's number, and what the task found for each item."""
        require_shared((*self.paths, *chunk.paths))
        if self._instruments is None:
            self._instruments = self.opens()
        return chunk.number, [chunk.task(self._instruments, item) for item in chunk.items]


@dataclass(frozen=True, eq=False)
class Spread:
    """The work of an executor's nodes, each of which opens the instruments."""

    executor: Executor
    maker: ChunkMaker

    def __call__(
        self, task: Task[Item, Found], items: Sequence[Item], shots: Callable[[Item], Sequence[Shot]]
    ) -> Iterator[Found]:
        chunks = []
        for number, part in enumerate(cut(items, lambda item: shots(item)[-1].path)):
            paths = existing(shot.path for item in part for shot in shots(item))
            chunks.append(Chunk(number, task, part, paths))
        with closing(self.executor(self.maker, chunks)) as made:
            for found in in_order(made, range(len(chunks))):
                yield from found


def cut(items: Sequence[Item], file: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Chunks of items in their order. Neighbours of the same file stay together, however many they are."""
    chunks: list[list[Item]] = []
    for item in items:
        if chunks and (len(chunks[-1]) < _CHUNK or file(chunks[-1][-1]) == file(item)):
            chunks[-1].append(item)
        else:
            chunks.append([item])
    return chunks
