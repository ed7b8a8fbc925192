"""The mark of AI-made pictures: writing it, and reading it back. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_MODULES = {
    "Mark": "metadata",
    "Verification": "verify",
    "mark_bytes": "embed",
    "mark_xmp": "metadata",
    "read_mark": "verify",
    "verify_picture": "verify",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .embed import mark_bytes as mark_bytes
    from .metadata import Mark as Mark
    from .metadata import mark_xmp as mark_xmp
    from .verify import Verification as Verification
    from .verify import read_mark as read_mark
    from .verify import verify_picture as verify_picture

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
