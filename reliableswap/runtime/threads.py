"""Threads that stay with the one that uses them.

cuDNN's plans of convolutions are kept thread by thread, and planning one takes milliseconds: the first call of a
network in a new thread takes many times as long as its second.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_KEPT = threading.local()  # of each thread, its pools


class Beside:
    """Work that runs beside the calling thread."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.futures: list[Future[Any]] = []

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin to work; the result is asked of the answer."""
        future = self._pool.submit(work, *args, **kwargs)
        self.futures.append(future)
        return future


@contextmanager
def beside(count: int = 1) -> Iterator[Beside]:
    """Submit work to `count` threads, always the same ones for the same calling thread; the end waits for all of it."""
    pools, name = _KEPT.__dict__, f"beside-{count}"
    if name not in pools:
        pools[name] = ThreadPoolExecutor(count, name)
    work = Beside(pools[name])
    try:
        yield work
    finally:
        wait(work.futures)


if hasattr(os, "register_at_fork"):  # not on Windows; a forked process has none of its parent's other threads
    os.register_at_fork(after_in_child=lambda: _KEPT.__dict__.clear())
