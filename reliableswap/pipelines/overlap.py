"""Stages of work in threads of their own, with short queues between them, and the time that each is busy."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import cv2

Item = TypeVar("Item")

_END = object()
_POLL_SECONDS = 0.1  # seconds after which a waiting thread checks whether to stop
_STAGES = 4  # that share the cores


class Busy:
    """How long each stage of the work was busy, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()  # stages are timed in threads of their own

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - began})

    def each(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, and count the time that it takes to make them."""
        iterator = iter(items)
        try:
            while True:
                with self(stage):
                    item = next(iterator, _END)
                if item is _END:
                    return
                yield item  # type: ignore[misc]
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add times that were measured elsewhere."""
        with self._lock:
            for stage, value in seconds.items():
                self.seconds[stage] += value

    def rounded(self) -> dict[str, float]:
        """Each stage's seconds, rounded."""
        with self._lock:
            return {name: round(seconds, 3) for name, seconds in self.seconds.items()}


@dataclass(eq=False)
class _Sharing:
    """uses: how many `shared_cores` are active. threads_before: the numbers of threads without any."""

    uses: int = 0
    threads_before: tuple[int, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)


_SHARING = _Sharing()


@contextmanager
def shared_cores() -> Iterator[None]:
    """Inside, where stages work side by side, limit OpenCV and torch to a share of the cores, at least one.

    On few cores the stages keep all of them busy already, and further threads would only wait for each other. Uses may
    overlap; the last one to end restores the threads.
    """
    with _SHARING.lock:
        if not _SHARING.uses:
            _SHARING.threads_before = _threads()
            _set_threads(tuple(max(1, count // _STAGES) for count in _SHARING.threads_before))
        _SHARING.uses += 1
    try:
        yield
    finally:
        with _SHARING.lock:
            _SHARING.uses -= 1
            if not _SHARING.uses:
                _set_threads(_SHARING.threads_before)


def _threads() -> tuple[int, ...]:
    """Return how many threads OpenCV has, and torch, if it is imported: exported pipelines run without it."""
    torch: Any = sys.modules.get("torch")
    return (cv2.getNumThreads(),) if torch is None else (cv2.getNumThreads(), torch.get_num_threads())


def _set_threads(counts: tuple[int, ...]) -> None:
    cv2.setNumThreads(counts[0])
    if len(counts) > 1:
        sys.modules["torch"].set_num_threads(counts[1])


class Prefetch(Generic[Item]):
    """Makes items in a thread, at most `capacity` ahead of the consumer. Use it in a `with` statement."""

    def __init__(self, items: Iterable[Item], capacity: int) -> None:
        self._items, self._queue = items, queue.Queue[Any](capacity)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="prefetch")

    def __enter__(self) -> Iterator[Item]:
        self._thread.start()
        return self._take()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _take(self) -> Iterator[Item]:
        while True:
            item, error = self._queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item

    def _run(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._put((item, None)):
                    return
            self._put((_END, None))
        except BaseException as error:  # raised again where the items are taken
            self._put((None, error))
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _put(self, item: Any) -> bool:
        """Wait for a place in the queue; return False once nobody takes items any more."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False


class BackgroundConsumer(Generic[Item]):
    """Hands items to a function in a thread, at most `capacity` waiting. Use it in a `with` statement.

    Leaving it waits for all items. An error of the function is raised at the next `put`, or on leaving.
    """

    def __init__(self, function: Callable[[Item], None], capacity: int) -> None:
        self._function, self._queue = function, queue.Queue[Any](capacity)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="consume")

    def __enter__(self) -> BackgroundConsumer[Item]:
        self._thread.start()
        return self

    def put(self, item: Item) -> None:
        while self._error is None:
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue
        raise self._error

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.put(_END, timeout=_POLL_SECONDS)
                break
            except queue.Full:
                continue
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is _END or self._stop.is_set():
                return
            try:
                self._function(item)
            except BaseException as error:
                self._error = error
                return
