"""Take from the blend the detail that is too fine for the generator's crop: pores and hairs."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.align import crop
from reliableswap.swap.job import FaceJob

from .bands import blend
from .crop import enlarged
from .recolour import recolour
from .texture import texture


def detail(job: FaceJob) -> FaceJob:
    """Layer of the crop's window: `fine` (h,w,3) float32, to be added to the enlarged crop.

    There is none if the crop holds all of the photo's detail, or if the generator's layers bring their own.
    """
    strength = job.settings.detail
    if strength == 0 or job.crop.holds_all_detail or job.networks.generator.config.get("layers"):
        return job
    job = recolour(texture(job))
    blended = job.layer("reshaped").copy()
    blended[job.window] = blend(job, likeness=1.0)[0]
    place = job.crop
    coarse = enlarged(job, crop(blended, place.matrix, place.size).astype(np.float32))
    return job.with_layers(fine=(blended[place.window] - coarse) * np.float32(strength))
