"""Read and write picture files. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_MODULES = {
    "Picture": "picture",
    "read_picture": "read",
    "write_picture": "write",
    "check_output": "write",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .picture import Picture as Picture
    from .read import read_picture as read_picture
    from .write import check_output as check_output
    from .write import write_picture as write_picture

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
