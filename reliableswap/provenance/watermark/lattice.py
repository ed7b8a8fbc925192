"""ReliableSwap's own watermark. docs/provenance.md describes how to read it without this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from reliableswap.errors import PictureError

from .evidence import local_detail
from .protocol import Box, Reading, Watermark
from .read import read
from .write import write

SMALLEST_SIDE = 128  # pixels; a smaller picture is not marked
_MAX_SINGLE_FRAMES = 16  # frames that are read one by one, at most
_SMALLEST_READ = 48  # pixels; the side of the smallest marked picture after the strongest reduction


class LatticeWatermark:
    """64 bits in a lattice of mid-frequency waves in the luminance, repeated every 64 pixels.

    Readable at 0.3 to 2.7 times the marked size, in crops, mirrored and rotated by multiples of 90 degrees; not after
    other rotations or warps. `embed` returns pictures with a side below 128 pixels unchanged, and `read` returns None.
    """

    name = "reliableswap-lattice-1"

    def embed(self, pixels: np.ndarray, payload: int, faces: Sequence[Box] = ()) -> np.ndarray:
        """Return (H,W,3) uint8 RGB `pixels` with the 32-bit payload; unchanged if a side is below 128 pixels.

        faces: boxes x0 y0 x1 y1 in pixels, inside which the mark is stronger, so that a crop of a face carries it.
        An earlier mark is replaced if the picture was not resized since; otherwise both stay.
        """
        _check(pixels)
        if min(pixels.shape[:2]) < SMALLEST_SIDE:
            return pixels
        return write(np.ascontiguousarray(pixels), payload, faces)

    def read(self, pixels: np.ndarray) -> Reading | None:
        """Read the payload of a (H,W,3) uint8 RGB picture, or None if it carries none that can be read."""
        return self.read_many([pixels])

    def read_many(self, frames: Iterable[np.ndarray]) -> Reading | None:
        """Read the payload that all (H,W,3) uint8 RGB frames, of one size, carry at the same place.

        Their detail is averaged, which keeps the mark and fades what moves. If that shows nothing, up to 16 frames are
        read one by one: where the camera moves, a video codec moves the mark along with the picture.
        """
        total: np.ndarray | None = None
        single: list[np.ndarray] = []
        for detail in _details(frames):
            total = detail if total is None else total + detail
            if len(single) < _MAX_SINGLE_FRAMES:
                single.append(detail)
        if total is None:
            return None
        tries = [total, *single] if len(single) > 1 else single
        return next((reading for detail in tries if (reading := read(detail))), None)


def default_watermark() -> Watermark:
    """The watermark that ReliableSwap writes and looks for."""
    return LatticeWatermark()


def _details(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the (H,W) detail of each frame that is large enough."""
    shape: tuple[int, ...] = ()
    for frame in frames:
        _check(frame)
        shape = shape or frame.shape
        if frame.shape != shape:
            raise PictureError(
                f"frames of {shape[1]}x{shape[0]} and {frame.shape[1]}x{frame.shape[0]} pixels can't be read "
                "together; give frames of one size"
            )
        if min(shape[:2]) >= _SMALLEST_READ:
            yield local_detail(np.ascontiguousarray(frame))


def _check(pixels: np.ndarray) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise PictureError(
            f"the watermark takes (H,W,3) uint8 RGB, not {pixels.shape} {pixels.dtype}; convert the picture first"
        )
