"""What marks an output as AI-made, and what reads the mark. Public names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_HOMES = {
    "Mark": "mark",
    "mark_xmp": "mark",
    "read_mark": "mark",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from .mark import Mark as Mark
    from .mark import mark_xmp as mark_xmp
    from .mark import read_mark as read_mark


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
