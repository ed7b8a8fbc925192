"""How to resample pictures that people will look at.

A face is resampled several times on its way into a photo. Bilinear sampling loses fine detail each time, and that is
what gives a face swap away first. Photos whose face was only warped, three times, are told from untouched ones with an
AUC of 0.82 to 0.84 for a single patch; with the Lanczos kernel it is 0.52 to 0.56, where 0.5 is chance
(`benchmarks/resampling.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_ROW = 1024  # points that OpenCV reads as one row of a picture
_LARGE = 1_000_000  # pixels from which a picture is resampled bicubically, in a fifth of the time
_NETWORKS = 128  # side of the crops that networks see; they were trained on bilinear ones


def interpolation_for(shape: Sequence[int], quick: bool = False) -> int:
    """Return the OpenCV interpolation for a picture (H,W,...) that people will look at.

    Lanczos, or bicubic for large pictures, which are rarely sharp to the pixel. quick: bicubic in any case, as for the
    frames of clips, which are compressed and seen for a moment.
    """
    return cv2.INTER_CUBIC if quick or is_large(shape) else cv2.INTER_LANCZOS4


def is_large(shape: Sequence[int]) -> bool:
    """Whether a picture (H,W,...) has so many pixels that speed matters more than its finest detail."""
    return shape[0] * shape[1] >= _LARGE


def crop_interpolation(size: int, quick: bool = False) -> int:
    """Return the OpenCV interpolation from a photo into a crop of that side; `quick` as for `interpolation_for`."""
    return cv2.INTER_LINEAR if size <= _NETWORKS else interpolation_for((size, size), quick)


def read_points(picture: np.ndarray, positions: np.ndarray, kernel: int) -> np.ndarray:
    """(N,C) a picture (H,W,C) sampled at positions (N,2), its edge pixels repeated beyond it.

    A good kernel is slow, so only the pixels that are needed get sampled.
    """
    if not len(positions):
        return np.zeros((0, *picture.shape[2:]), picture.dtype)
    # Not BORDER_REFLECT: OpenCV never returns from that on a picture one pixel wide.
    read = cv2.remap(picture, in_rows(positions), None, kernel, borderMode=cv2.BORDER_REPLICATE)
    return read.reshape(-1, *picture.shape[2:])[: len(positions)]


def in_rows(points: np.ndarray) -> np.ndarray:
    """(R,1024,C) points (N,C) in rows, as OpenCV wants them, padded with zeros."""
    count, channels = points.shape
    rows = np.zeros((-(-count // _ROW), _ROW, channels), points.dtype)
    rows.reshape(-1, channels)[:count] = points
    return rows


def put(picture: np.ndarray, pixels: np.ndarray, values: np.ndarray) -> None:
    """Write values (N,C) into a picture (H,W,C) in place, at flat indices (N,)."""
    whole = f"V{picture.dtype.itemsize * picture.shape[2]}"  # NumPy moves C numbers much faster as one item
    picture.reshape(-1, picture.shape[2]).view(whole)[pixels] = np.ascontiguousarray(values).view(whole)


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """(H,W) or (H,W,C) uint8, the picture rounded and clipped to 0..255, in a fifth of NumPy's time."""
    return cv2.addWeighted(picture, 1, picture, 0, 0, dtype=cv2.CV_8U)
