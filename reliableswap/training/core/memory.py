"""Memory allocation by the C library, for trainings on a CPU."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # parameters of glibc's mallopt
_NEVER = 2**31 - 1
_GROWTH = 64 * 2**20


def keep_freed_memory() -> None:
    """Make glibc keep the memory that a step frees for the next one; do nothing with other C libraries.

    By default it returns large blocks to the system and requests them again, with a page fault for every 4 KB: a tenth
    of a step's time.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _NEVER)
        mallopt(_TOP_PAD, _GROWTH)
