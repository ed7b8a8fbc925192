"""Take from the blend what the photo shows finer than the generator's crop can hold: pores and hairs."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.align import crop, paste_back
from reliableswap.swap.job import FaceJob

from .bands import blend
from .generate import ENOUGH, crop_matrix, crop_size
from .recolour import recolour
from .texture import texture


def detail(job: FaceJob) -> FaceJob:
    """Layer `fine` (H,W,3) float32, to be added to the enlarged crop; none where the crop holds all of the photo."""
    size, strength = crop_size(job), job.settings.detail
    template = job.networks.generator.config["template"]
    if strength == 0 or job.target.crop_scale(size, template) >= ENOUGH:
        return job
    job = recolour(texture(job))
    blended = job.layer("reshaped").copy()
    blended[job.window] = blend(job, likeness=1.0)[0]
    matrix = crop_matrix(job)
    coarse = paste_back(crop(blended, matrix, size).astype(np.float32), matrix, job.target.shape)
    return job.with_layers(fine=(blended - coarse) * np.float32(strength))
