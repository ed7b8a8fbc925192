"""Move the outline of the target's face towards the source's shape."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.shape import origins
from reliableswap.geometry.shape import reshape as warped
from reliableswap.swap.job import FaceJob


def reshape(job: FaceJob) -> FaceJob:
    """Layers `reshaped`, `image`: the target warped onto the goal mesh; `mask`: where that changed pixels."""
    made = reshaped(job)
    return job.with_layers(reshaped=made, image=made, mask=job.moved)


def reshaped(job: FaceJob) -> np.ndarray:
    """(H,W,3) uint8 the target warped onto the goal mesh."""
    return warped(job.target.pixels, job.move, job.quick, job.moved, snap=job.snaps_to_pixels)


def reshape_roughly(job: FaceJob) -> FaceJob:
    """As `reshape`, but bilinear if the face is large: networks see it reduced, and `lay` samples the photo itself."""
    if not job.has_finer_detail:
        return reshape(job)
    left, top, width, height = cv2.boundingRect((job.moved > 0).astype(np.uint8))
    where = slice(top, top + height), slice(left, left + width)
    made = job.target.pixels.copy()
    if width:
        places = origins(job.move, where)
        made[where] = cv2.remap(
            job.target.pixels, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return job.with_layers(reshaped=made, image=made, mask=job.moved)
