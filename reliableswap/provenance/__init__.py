"""The marks of AI-made pictures: XMP, signed C2PA manifests and a watermark. Public names load on first use.

`seal.seal` writes them, and `verify.verify` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_MODULES = {
    "Mark": "metadata",
    "Record": "record",
    "Verification": "verify",
    "mark_bytes": "embed",
    "mark_xmp": "metadata",
    "read_mark": "reading",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .embed import mark_bytes as mark_bytes
    from .metadata import Mark as Mark
    from .metadata import mark_xmp as mark_xmp
    from .reading import read_mark as read_mark
    from .record import Record as Record
    from .verify import Verification as Verification

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
