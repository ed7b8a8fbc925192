"""Restore the parts that the settings leave to the target, and put on the source's glasses if asked for."""

from __future__ import annotations

import numpy as np

from reliableswap.imaging.bands import three_channels
from reliableswap.swap.guidance import carried_glasses
from reliableswap.swap.job import FaceJob

from .reshape import reshaped


def keep_attributes(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the reshaped photo where an attribute is the target's, such as a beard.

    It runs after the expression is corrected: the target's own parts need no correction, and the rest stays as in a
    plain swap.
    """
    kept = job.settings.attributes.kept_mask(job.goal, job.target.shape, job.only_target_bearded)
    if kept is None:
        return job
    own = reshaped(job).astype(np.float32)
    mixed = job.image + three_channels(kept) * (own - job.image)
    image = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return job.with_layers(image=image, mask=np.maximum(job.moved, job.mask * (1 - kept)))


def put_on_glasses(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the source's glasses in front of the face, if the settings ask for them."""
    if job.settings.attributes.glasses != "source":
        return job
    picture, worn = carried_glasses(
        job.source.pixels, job.source.mesh, job.goal, job.target.shape, job.networks.glasses
    )
    opacity = worn * np.float32(job.settings.likeness) * (1 - job.foreground_mask())
    mixed = job.image + three_channels(opacity) * (picture.astype(np.float32) - job.image)
    image = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return job.with_layers(image=image, mask=np.maximum(job.mask, opacity))
