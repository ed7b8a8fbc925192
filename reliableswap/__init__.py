"""ReliableSwap: face swapping with reliable supervision. Public names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "ReliableSwapPipeline": "pipeline",
    "SwapOutput": "pipeline",
    "FaceAnalyser": "faces.analyse",
    "Face": "faces.face",
    "FaceDetector": "models.detector",
    "MeshNet": "models.landmarks",
    "ReliableSwapError": "errors",
}

__all__ = sorted([*_HOMES, "__version__"])

if TYPE_CHECKING:
    from .errors import ReliableSwapError as ReliableSwapError


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'reliableswap' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
