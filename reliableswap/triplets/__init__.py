"""Makes training triplets from photos. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_MODULES = {
    "TripletSettings": "settings",
    "make_triplets": "factory",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .factory import make_triplets as make_triplets
    from .settings import TripletSettings as TripletSettings

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
