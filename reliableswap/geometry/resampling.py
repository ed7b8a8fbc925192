"""How pictures are resampled that people will look at.

A face is resampled several times on its way into a photo. Bilinear sampling takes fine detail away each time, and that
is what a face swap is told by first. Photos whose face was only warped, three times, are told from untouched ones with
an AUC of 0.82 to 0.84 for a single patch; with Lanczos' kernel it is 0.52 to 0.56, where 0.5 is chance
(`benchmarks/resampling.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

_TILE = 64  # pixels a side of the squares in which a picture is read
_LARGE = 1_000_000  # pixels from which a picture is resampled by cubics: that takes a fifth of the time
_NETWORKS = 128  # side of the crops that networks see; they have learnt from bilinear ones


def sharp(shape: Sequence[int], quick: bool = False) -> int:
    """How a picture (H,W,...) that people will look at is resampled. A large one is rarely sharp to the pixel.

    quick: by cubics in any case, as the frames of clips, which are compressed and seen for a moment.
    """
    return cv2.INTER_CUBIC if quick or shape[0] * shape[1] >= _LARGE else cv2.INTER_LANCZOS4


def crop_method(size: int, quick: bool = False) -> int:
    """How a photo is resampled into a crop of that side; `quick` as for `sharp`."""
    return cv2.INTER_LINEAR if size <= _NETWORKS else sharp((size, size), quick)


def read_at(
    picture: np.ndarray, positions: np.ndarray, needed: np.ndarray | None = None, quick: bool = False
) -> np.ndarray:
    """(h,w,C) a picture (H,W,C) read at positions (h,w,2); beyond its edges they go on.

    needed: (h,w) uint8; where it is zero, the result may be zero too. A good kernel takes long, so only tiles are
    read in which something is needed. quick: as for `sharp`.
    """
    kernel = sharp(positions.shape, quick)
    if needed is None:
        return cv2.remap(picture, positions, None, kernel, borderMode=cv2.BORDER_REPLICATE)
    out = np.zeros((*positions.shape[:2], *picture.shape[2:]), picture.dtype)
    for tile in tiles_with(needed):
        # Not BORDER_REFLECT: OpenCV never returns from that on a picture one pixel wide.
        out[tile] = cv2.remap(picture, positions[tile], None, kernel, borderMode=cv2.BORDER_REPLICATE)
    return out


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """(H,W) or (H,W,C) uint8 the picture rounded, and limited to 0 to 255: in a fifth of NumPy's time."""
    return cv2.addWeighted(picture, 1, picture, 0, 0, dtype=cv2.CV_8U)


def tiles_with(needed: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of rectangles that together hold all pixels (H,W) that are not zero."""
    height, width = needed.shape
    for top in range(0, height, _TILE):
        rows = slice(top, min(top + _TILE, height))
        busy = [cv2.countNonZero(needed[rows, left : left + _TILE]) > 0 for left in range(0, width, _TILE)]
        # Where a run of tiles begins, and where it ends.
        ends = np.flatnonzero(np.diff([False, *busy, False])) * _TILE
        for left, right in ends.reshape(-1, 2).tolist():
            yield rows, slice(left, min(right, width))
