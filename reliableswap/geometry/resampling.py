"""How pictures are resampled that people will look at.

A face is resampled several times on its way into a photo. Bilinear sampling takes fine detail away each time, and that
is what a face swap is told by first. Photos whose face was only warped, three times, are told from untouched ones with
an AUC of 0.82 to 0.84 for a single patch; with Lanczos' kernel it is 0.52 to 0.56, where 0.5 is chance
(`benchmarks/resampling.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2

_LARGE = 1_000_000  # pixels from which a picture is resampled by cubics: that takes a quarter of the time
_NETWORKS = 128  # side of the crops that networks see; they have learnt from bilinear ones


def sharp(shape: Sequence[int]) -> int:
    """How a picture (H,W,...) that people will look at is resampled. A large one is rarely sharp to the pixel."""
    return cv2.INTER_LANCZOS4 if shape[0] * shape[1] < _LARGE else cv2.INTER_CUBIC


def crop_method(size: int) -> int:
    """How a photo is resampled into a crop of that side."""
    return cv2.INTER_LINEAR if size <= _NETWORKS else sharp((size, size))
