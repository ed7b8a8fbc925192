"""Make the fine detail of the swapped face as strong as the target's was, in brightness and colours."""

from __future__ import annotations

import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.resampling import to_bytes
from reliableswap.imaging.bands import three_channels
from reliableswap.imaging.grain import detail_change
from reliableswap.swap.job import FaceJob

_EDGE = 0.06  # of the face's width: how far inside the outline the change ends
_SOFT = 0.03  # of the face's width: the soft edge of that


def grain(job: FaceJob) -> FaceJob:
    """Layer `image`: its face as sharp and as grainy as the photo.

    It runs after the steps that resample, but before `age`, which changes detail on purpose.
    """
    if job.settings.detail == 0:
        return job
    where = regions.window(job.goal, job.target.shape, 0)
    pictures = job.image, job.target.pixels, job.layer("reshaped")
    made, own, reshaped = (one[where].astype(np.float32) for one in pictures)
    mesh = job.goal - np.array([where[1].start, where[0].start, 0], np.float32)
    hidden, skin = job.covered(where)
    shown = job.mask[where] * (1 - hidden)
    face = regions.eroded(regions.oval(mesh, shown.shape), _EDGE * job.width)
    change = detail_change(made, own, reshaped, face * (shown > 0.9), skin, job.width)
    change *= three_channels(job.settings.detail * shown * regions.feathered(face, _SOFT * job.width))
    image = job.image.copy()
    image[where] = to_bytes(made + change)
    return job.with_layers(image=image)
