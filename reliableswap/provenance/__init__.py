"""What marks an output as AI-made, and what reads the mark. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
