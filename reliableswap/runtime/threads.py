"""Worker threads that are kept for the thread that uses them.

PyTorch caches cuDNN's convolution plans per thread. A new thread makes each plan again, which takes more than a second
for some depthwise convolutions from cuDNN 9.10 on, and an ended thread's plans stay in memory
(github.com/pytorch/pytorch/issues/104701, github.com/NVIDIA/cudnn-frontend/issues/1066).
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

_POOLS = threading.local()  # each thread's pools


class WorkerPool:
    """Submits work to threads, which run it beside the calling thread."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.futures: list[Future[Any]] = []

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the work and return a future for its result."""
        future = self._pool.submit(work, *args, **kwargs)
        self.futures.append(future)
        return future


@contextmanager
def worker_pool(count: int = 1) -> Iterator[WorkerPool]:
    """Yield a way to submit work to `count` threads, the same ones for each calling thread; wait for all at the end."""
    pools, name = _POOLS.__dict__, f"workers-{count}"
    if name not in pools:
        pools[name] = ThreadPoolExecutor(count, name)
    pool = WorkerPool(pools[name])
    try:
        yield pool
    finally:
        wait(pool.futures)


if hasattr(os, "register_at_fork"):  # not on Windows; a forked process lacks its parent's other threads
    os.register_at_fork(after_in_child=lambda: _POOLS.__dict__.clear())
