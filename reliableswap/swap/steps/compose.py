"""Lay the generated crop over the reshaped photo, with the blend's fine detail."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.resampling import to_bytes
from reliableswap.imaging.bands import three_channels
from reliableswap.swap.job import FaceJob
from reliableswap.swap.place import Window

from .crop import enlarged, in_region, whole


def compose(job: FaceJob, method: int | None = None) -> FaceJob:
    """Layers `image` and `mask`: the generated face in the photo.

    method: OpenCV's interpolation for enlarging the crop; None: as `enlarged` chooses.
    """
    piece = _opaque(job.layer("alpha")) if job.quick else whole(job)
    where, alpha = in_region(job, piece), job.layer("alpha")[piece]
    face = enlarged(job, job.layer("generated"), piece, method)
    if "fine" in job.layers:
        face += job.layer("fine")[piece]
    under = job.layer("reshaped")[where].astype(np.float32)
    face -= under
    face *= three_channels(alpha)
    face += under
    image, mask = job.layer("reshaped").copy(), job.moved.copy()
    image[where] = to_bytes(face)
    mask[where] = np.maximum(mask[where], alpha)
    image = cv2.copyTo(job.target.pixels, (mask == 0).astype(np.uint8), image)
    return job.with_layers(image=image, mask=mask)


def _opaque(alpha: np.ndarray) -> Window:
    """Rows and columns that hold all that is not zero."""
    left, top, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    return slice(top, top + max(height, 1)), slice(left, left + max(width, 1))
