"""Make the swapped face look older or younger by the settings' years."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.ageing import ageing
from reliableswap.geometry.shape import origins
from reliableswap.swap.job import FaceJob


def age(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the face with an older or younger skin; the goal mesh has its shape already.

    It comes before parts are left to the target: those stay as they are.
    """
    if job.years == 0:
        return job
    seen_at = origins(job.move)
    hidden, _ = job.target.covers.at(seen_at)
    worn = job.target.covers.glasses.at(seen_at)
    open_to_view = 1 - (hidden - (1 - job.settings.glasses) * np.minimum(hidden, worn))
    image, changed = ageing().picture(job.image, job.goal, job.years, open_to_view)
    return job.with_layers(image=image, mask=np.maximum(job.mask, changed))
