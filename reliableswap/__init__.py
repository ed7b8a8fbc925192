"""ReliableSwap: face swapping with reliable supervision. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

__version__ = "0.1.0"

_MODULES = {
    "ReliableSwapPipeline": "pipelines.image",
    "ExportedPipeline": "pipelines.exported",
    "SwapOutput": "pipelines.output",
    "FaceAnalyser": "faces.analysers.base",
    "Face": "faces.face",
    "FaceDetector": "models.detector",
    "MeshNet": "models.landmarks",
    "ReliableSwapError": "errors",
    "UnifiedFacePipeline": "pipelines.unified",
    "verify": "provenance.verify",
}

__all__ = sorted([*_MODULES, "__version__"])

if TYPE_CHECKING:
    from .errors import ReliableSwapError as ReliableSwapError

__getattr__, __dir__ = lazy_names(__name__, globals(), _MODULES)
