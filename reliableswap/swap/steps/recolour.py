"""Give the texture the target's skin tone, light and sharpness."""

from __future__ import annotations

import numpy as np

from reliableswap.imaging import colour
from reliableswap.imaging.grain import match_detail
from reliableswap.swap.job import FaceJob


def recolour(job: FaceJob) -> FaceJob:
    """Layer of the window: `recoloured` (h,w,3) float32 RGB in 0..255."""
    settings, validity = job.settings, job.layer("validity")
    _, hidden, target_skin = job.target_covers
    skin = np.minimum(job.layer("skin"), target_skin) * (validity > 0.9)
    base, lab = (
        colour.to_lab(pixels) for pixels in (job.layer("reshaped")[job.window], job.layer("texture"))
    )
    lab = colour.match(lab, base, skin, strength=settings.colour)
    lab = colour.match_light(lab, base, skin, settings.light_reach * job.width, settings.light)
    shared = (validity > 0.9) * (hidden < 0.1)
    lab[..., 0] = match_detail(lab[..., 0], base[..., 0], shared, skin, job.width, settings.detail)
    return job.with_layers(recoloured=colour.to_rgb(lab))
