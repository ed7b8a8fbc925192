"""The invisible watermark: 32 bits in the pixels that survive recompression, resizing and cropping.

`default_watermark()` is ReliableSwap's own. Any other implementation of `Watermark` can replace it.
Public names load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_MODULES = {
    "Box": "protocol",
    "LatticeWatermark": "lattice",
    "Reading": "protocol",
    "Watermark": "protocol",
    "default_watermark": "lattice",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .lattice import LatticeWatermark as LatticeWatermark
    from .lattice import default_watermark as default_watermark
    from .protocol import Box as Box
    from .protocol import Reading as Reading
    from .protocol import Watermark as Watermark

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
