"""What a face analyser is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from reliableswap.faces.face import Face


@runtime_checkable
class FaceAnalyser(Protocol):
    """Finds the faces of an RGB photo (H,W,3) uint8, largest first. `name` is what reports call it."""

    name: str

    def __call__(self, image: np.ndarray) -> list[Face]: ...


@runtime_checkable
class LargestFaceAnalyser(FaceAnalyser, Protocol):
    """A FaceAnalyser that finds the largest face in less time than all faces."""

    def largest(self, image: np.ndarray) -> Face | None: ...


def largest_face(analyser: FaceAnalyser, image: np.ndarray) -> Face | None:
    """The largest face of an RGB photo (H,W,3) uint8."""
    if isinstance(analyser, LargestFaceAnalyser):
        return analyser.largest(image)
    return next(iter(analyser(image)), None)
