"""The interface of an invisible watermark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Box = Sequence[float]  # x0 y0 x1 y1 in pixels


@dataclass(frozen=True)
class Reading:
    """A message read from pixels.

    confidence: 0 to 1, how well the pixels agree with the message; 1 is an undisturbed mark.
    """

    payload: int
    confidence: float


class Watermark(Protocol):
    """Writes a 32-bit payload into pixels and reads it without the original.

    A picture too small to carry the mark is returned unchanged by `embed`, and `read` finds nothing in it:
    only a `Reading` proves that a picture carries the mark.
    """

    name: str

    def embed(self, pixels: np.ndarray, payload: int, faces: Sequence[Box] = ()) -> np.ndarray:
        """Return (H,W,3) uint8 RGB `pixels` with the payload, written more strongly inside the faces' boxes."""
        ...

    def read(self, pixels: np.ndarray) -> Reading | None:
        """Read the payload of a (H,W,3) uint8 RGB picture, or None if it carries none that can be read."""
        ...

    def read_many(self, frames: Iterable[np.ndarray]) -> Reading | None:
        """Read the payload that all (H,W,3) uint8 frames of a clip carry, adding up the evidence of each frame."""
        ...
