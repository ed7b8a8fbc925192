"""Make the swapped face look older or younger by the settings' years."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.ageing import ageing
from reliableswap.swap.job import FaceJob


def age(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the face with an older or younger skin; the goal mesh has its shape already.

    It comes before parts are left to the target: those stay as they are.
    """
    if job.years == 0:
        return job
    image, changed = ageing().picture(job.image, job.goal, job.years, 1 - job.in_front())
    return job.with_layers(image=image, mask=np.maximum(job.mask, changed))
