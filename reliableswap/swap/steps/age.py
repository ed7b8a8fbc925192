"""Make the swapped face look older or younger by the settings' years."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.ageing import ageing
from reliableswap.swap.job import FaceJob


def age(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the face with older or younger skin; the goal mesh already has the aged shape.

    It runs before `keep_attributes`, so that parts left to the target do not age.
    """
    if job.years == 0:
        return job
    image, changed = ageing().picture(job.image, job.goal, job.years, 1 - job.foreground_mask())
    return job.with_layers(image=image, mask=np.maximum(job.mask, changed))
