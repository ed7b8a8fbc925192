"""Mix the made face into the reshaped photo."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.resampling import to_bytes
from reliableswap.imaging.bands import three_channels
from reliableswap.swap.job import FaceJob

from .crop import in_region
from .lay import laid


def compose(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the generated face in the photo."""
    piece = laid(job)
    where, alpha = in_region(job, piece), job.layer("alpha")[piece]
    face = job.layer("face").copy()
    under = job.layer("reshaped")[where].astype(np.float32)
    face -= under
    face *= three_channels(alpha)
    face += under
    image, mask = job.layer("reshaped").copy(), job.moved.copy()
    image[where] = to_bytes(face)
    mask[where] = np.maximum(mask[where], alpha)
    image = cv2.copyTo(job.target.pixels, (mask == 0).astype(np.uint8), image)
    return job.with_layers(image=image, mask=mask)
