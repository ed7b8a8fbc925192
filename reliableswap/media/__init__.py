"""Image and video files in and out. Public names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_HOMES = {
    "Picture": "picture",
    "read_picture": "read",
    "write_picture": "write",
    "check_output": "write",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from .picture import Picture as Picture
    from .read import read_picture as read_picture
    from .write import check_output as check_output
    from .write import write_picture as write_picture


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
