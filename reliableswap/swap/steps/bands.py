"""Blend the recoloured texture into the reshaped photo, frequency band by frequency band."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.resampling import to_bytes
from reliableswap.imaging.bands import blend_bands, three_channels
from reliableswap.swap.job import COARSE_REACH, FaceJob
from reliableswap.swap.kept_features import inner_features_mask


def bands(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the blend in its window, the target elsewhere."""
    piece, changed = blend(job, job.settings.likeness)
    image, mask = job.layer("reshaped").copy(), job.mask.copy()
    image[job.window] = piece
    mask[job.window] = np.maximum(mask[job.window], changed)
    image = cv2.copyTo(job.target.pixels, (mask == 0).astype(np.uint8), image)
    return job.with_layers(image=image, mask=mask)


def blend(job: FaceJob, likeness: float) -> tuple[np.ndarray, np.ndarray]:
    """(h,w,3) uint8 the blended window and (h,w) where it differs from the reshaped photo."""
    below, valid = job.layer("reshaped")[job.window].astype(np.float32), job.layer("validity")
    kept = 1 - inner_features_mask(job.goal_in_window, valid.shape)
    alpha = (_inside(job) * kept * valid * (1 - job.target_covers[0]) * likeness).astype(np.float32)
    over = below + three_channels(np.minimum(valid * 4, 1)) * (job.layer("recoloured") - below)
    octaves = round(np.log2(max(job.settings.band_reach * job.width, 1)))
    blended = blend_bands(over, below, alpha, octaves)
    # Coarse bands reach beyond the mask; allow that over a short distance.
    reach = np.clip(4 * regions.feathered(alpha, COARSE_REACH / 2.5 * job.width), 0, 1)
    mask = np.where(reach < 1 / 64, 0, np.clip(np.maximum(reach * kept, alpha), 0, 1)).astype(np.float32)
    blended = below + three_channels(mask) * (blended - below)
    return to_bytes(blended), mask


def shown_share(job: FaceJob) -> float:
    """The fraction of the target's face that the source's photo shows."""
    validity = job.layer("validity")
    oval = regions.oval(job.goal_in_window, validity.shape)
    return float(validity[oval > 0].sum() / max(np.count_nonzero(oval), 1))


def _inside(job: FaceJob) -> np.ndarray:
    """(h,w) one well inside the outline, falling softly to zero before it."""
    oval = regions.oval(job.goal_in_window, job.layer("validity").shape)
    margin, feather = job.settings.margin * job.width, job.settings.feather * job.width
    return regions.feathered(regions.eroded(oval, margin + feather), feather)
