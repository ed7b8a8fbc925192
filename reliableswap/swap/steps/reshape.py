"""Move the outline of the target's face towards the source's shape."""

from __future__ import annotations

from reliableswap.geometry.shape import reshape as warped
from reliableswap.swap.job import FaceJob


def reshape(job: FaceJob) -> FaceJob:
    """Layers `reshaped`, `image`: the target warped onto the goal mesh; `mask`: where that changed pixels."""
    reshaped = warped(job.target.pixels, job.move, job.quick, job.moved)
    return job.with_layers(reshaped=reshaped, image=reshaped, mask=job.moved)
