"""CPU time and peak memory of a block of code, for the other benchmarks. Needs Linux."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEBI = 2**20


@dataclass
class Step:
    """What a step took: CPU seconds, and the peak of the process's own memory in bytes."""

    seconds: float = 0.0
    peak: float = 0.0


def own_memory() -> int:
    """Bytes of memory that no other process could share, so without pages of mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this benchmark needs Linux")


@contextmanager
def measured() -> Iterator[Step]:
    """Time a block, and watch the memory from another thread."""
    step, over = Step(), threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            step.peak = max(step.peak, own_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    began = time.process_time()
    try:
        yield step
    finally:
        step.seconds = time.process_time() - began
        over.set()
        thread.join()
        step.peak = max(step.peak, own_memory())
