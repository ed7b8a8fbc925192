"""The interface of face analysers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from reliableswap.faces.face import Face


@runtime_checkable
class FaceAnalyser(Protocol):
    """A callable that returns the faces in an RGB photo (H,W,3) uint8, largest first. Reports show its `name`."""

    name: str

    def __call__(self, image: np.ndarray) -> list[Face]: ...


@runtime_checkable
class LargestFaceAnalyser(FaceAnalyser, Protocol):
    """A FaceAnalyser that finds the largest face faster than it finds all faces."""

    def largest(self, image: np.ndarray) -> Face | None: ...


def largest_face(analyser: FaceAnalyser, image: np.ndarray) -> Face | None:
    """Return the largest face in an RGB photo (H,W,3) uint8."""
    if isinstance(analyser, LargestFaceAnalyser):
        return analyser.largest(image)
    return next(iter(analyser(image)), None)
