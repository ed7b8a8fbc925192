"""Read and write clips with PyAV (the extra `video`). Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliableswap.lazy import lazy_names

_MODULES = {
    "ClipFrame": "reader",
    "ClipInfo": "info",
    "ClipReader": "reader",
    "Encoding": "encoders",
    "FrameTimes": "times",
    "SegmentWriter": "segment",
    "check_clip_output": "outputs",
    "is_clip_name": "outputs",
    "join": "join",
    "probe": "info",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .encoders import Encoding as Encoding
    from .info import ClipInfo as ClipInfo
    from .info import probe as probe
    from .join import join as join
    from .outputs import check_clip_output as check_clip_output
    from .outputs import is_clip_name as is_clip_name
    from .reader import ClipFrame as ClipFrame
    from .reader import ClipReader as ClipReader
    from .segment import SegmentWriter as SegmentWriter
    from .times import FrameTimes as FrameTimes

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
