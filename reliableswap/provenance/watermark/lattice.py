"""ReliableSwap's own watermark. docs/provenance.md describes it for whoever wants to read it without this package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from reliableswap.errors import PictureError

from .evidence import local_detail
from .protocol import Box, Reading, Watermark
from .read import read
from .write import write

SMALLEST_SIDE = 96  # pixels; a smaller picture is not marked


class LatticeWatermark:
    """64 bits in a lattice of mid-frequency waves in the luminance, repeated every 64 pixels.

    Read at any size between 0.4 and 2.5 times the marked one, in crops, mirrored and in quarter turns; not after
    other turns or bends. Pictures with a side below 96 pixels are returned unchanged by `embed`, and `read` is None.
    """

    name = "reliableswap-lattice-1"

    def embed(self, pixels: np.ndarray, payload: int, faces: Sequence[Box] = ()) -> np.ndarray:
        """Return (H,W,3) uint8 RGB `pixels` with the 32-bit payload; unchanged if a side is below 96 pixels.

        faces: boxes x0 y0 x1 y1 in pixels, inside which the mark is stronger, so that a crop of a face carries it.
        """
        _check(pixels)
        if min(pixels.shape[:2]) < SMALLEST_SIDE:
            return pixels
        return write(pixels, payload, faces)

    def read(self, pixels: np.ndarray) -> Reading | None:
        """Read the payload of a (H,W,3) uint8 RGB picture, or None if it carries none that can be read."""
        return self.read_many([pixels])

    def read_many(self, frames: Iterable[np.ndarray]) -> Reading | None:
        """Read the payload that all (H,W,3) uint8 RGB frames, of one size, carry at the same place.

        Their detail is averaged: the mark stays, and what moves fades.
        """
        total: np.ndarray | None = None
        shape: tuple[int, ...] = ()
        for frame in frames:
            _check(frame)
            if total is None:
                shape, total = frame.shape, np.float32(0)
            elif frame.shape != shape:
                raise PictureError(
                    f"frames of {shape[1]}x{shape[0]} and {frame.shape[1]}x{frame.shape[0]} pixels can't be read "
                    "together; give frames of one size"
                )
            if min(shape[:2]) >= SMALLEST_SIDE // 2:
                total = total + local_detail(frame)
        return read(total) if total is not None and total.ndim else None


def default_watermark() -> Watermark:
    """The watermark that ReliableSwap writes and looks for."""
    return LatticeWatermark()


def _check(pixels: np.ndarray) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise PictureError(
            f"the watermark takes RGB pixels (H,W,3) uint8, not {pixels.shape} {pixels.dtype}; convert the picture first"
        )
