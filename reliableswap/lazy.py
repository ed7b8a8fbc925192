"""Fast imports: load a package's public names on first use, and pause the garbage collector."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def lazy_names(
    package: str, names: dict[str, Any], modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`; `modules` maps each public name to its module."""

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{modules[name]}", package), name)
        names[name] = value
        return value

    def listed() -> list[str]:
        return sorted({*names, *modules})

    return get, listed


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector inside, and exclude all objects made until then from later collections.

    Imports make many long-lived objects, and scanning them repeatedly takes a fifth of the import time. Only for
    processes that are ours.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
