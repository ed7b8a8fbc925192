"""The C library's memory, for trainings on a CPU."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # numbers of glibc's mallopt
_NEVER = 2**31 - 1
_AT_ONCE = 64 * 2**20


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one.

    By default it gives large blocks back to the system and fetches them again, a page fault for every 4 KB; that was
    a tenth of a training step's time. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_TOP_PAD, _AT_ONCE)
