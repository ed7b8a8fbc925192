"""What marks an output as AI-made, and what reads the mark. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_HOMES = {
    "Mark": "metadata",
    "mark_xmp": "metadata",
    "read_mark": "metadata",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from .metadata import Mark as Mark
    from .metadata import mark_xmp as mark_xmp
    from .metadata import read_mark as read_mark

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
