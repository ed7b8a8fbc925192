"""Let a generator draw the picture of the aligned crop."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import to_planes
from reliableswap.geometry.regions import disc
from reliableswap.imaging.colour import local_means, to_lab, to_rgb
from reliableswap.swap.job import FaceJob

from .cover import cover_of
from .guide import guide, identity_request

_NEARBY = 0.04  # fraction of the crop's side within which a colour must occur to be allowed


def generate(job: FaceJob) -> FaceJob:
    """Layers of the crop: `generated` (S,S,3) float32 RGB in 0..255, and `cover` (S,S) in 0..1, its opacity."""
    if "seen" not in job.layers:
        job = guide(job)
    generator, picture = job.networks.generator, job.layer("seen")
    guidance = job.layer("guidance") if generator.guidance_channels else None
    low, high = (np.float32(level) for level in generator.config["value_range"])
    seen = (to_planes(picture) + np.float32(1)) * ((high - low) / 2) + low
    image, mask = generator(seen, identity_request(job), guidance)
    levels = (np.clip(image[0], low, high) - low) * (255 / (high - low))
    made = np.ascontiguousarray(levels.transpose(1, 2, 0))
    if guidance is not None:
        made = _within_seen_colours(made, picture, guidance)
    return job.with_layers(generated=made, cover=cover_of(mask[0, 0]))


def _within_seen_colours(made: np.ndarray, picture: np.ndarray, guidance: np.ndarray) -> np.ndarray:
    """(S,S,3) the generated crop, its colours limited to those that the target's crop or the guidance shows nearby.

    Identity encoders reward violet temples and yellow lids; people do not. Lightness is kept.
    """
    size = made.shape[0]
    shown = guidance[0]
    valid = np.ascontiguousarray(shown[3])
    texture = np.ascontiguousarray((shown[:3].transpose(1, 2, 0) + 1) * 127.5)
    (told,) = local_means([to_lab(texture)], valid, _NEARBY / 4 * size)
    (seen,) = local_means([to_lab(picture)], np.ones_like(valid), _NEARBY / 4 * size)
    lab = to_lab(made)
    # Limit along the skin's hue and across it: between skin and dark hair there is brown, but no violet.
    along = told[valid > 0.5][:, 1:].mean(0) if (valid > 0.5).any() else np.ones(2)
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    turn = np.array([along, [-along[1], along[0]]], np.float32)
    tint, ours, theirs = (one[..., 1:] @ turn.T for one in (lab, seen, told))
    reach = disc(_NEARBY * size)
    for n in range(2):
        low, high = ours[..., n], ours[..., n]
        low = cv2.erode(np.where(valid > 0.5, np.minimum(low, theirs[..., n]), low), reach)
        high = cv2.dilate(np.where(valid > 0.5, np.maximum(high, theirs[..., n]), high), reach)
        tint[..., n] = np.clip(tint[..., n], low, high)
    lab[..., 1:] = tint @ turn
    return to_rgb(lab)
