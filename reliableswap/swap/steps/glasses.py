"""Keep what stays the target's in front of the generated face: its gaze, its teeth, glasses, and whatever hides it."""

from __future__ import annotations

import numpy as np

from reliableswap.geometry.shape import origins
from reliableswap.swap.job import FaceJob
from reliableswap.swap.own import targets_own

from .crop import enlarged, face_in_crop_window, in_region


def glasses(job: FaceJob) -> FaceJob:
    """Layer of the crop's window: `alpha` (h,w), the opacity of the generated face.

    Without a VisibilityNet, hair and hands are left to the generator, which leaves most of them out by itself.
    """
    alpha = enlarged(job, job.layer("cover") * job.settings.likeness)
    piece = face_in_crop_window(job)
    there = in_region(job, piece)
    covers, seen_at = job.target.covers, origins(job.move, there)
    worn = covers.glasses.at(seen_at)
    front = job.settings.glasses * worn
    if covers.told:
        hidden, _ = covers.at(seen_at)
        front = np.maximum(front, hidden - np.minimum(hidden, worn))
    corner = np.array([there[1].start, there[0].start, 0], np.float32)
    alpha[piece] *= (1 - front) * (1 - targets_own(job.goal - corner, worn.shape))
    return job.with_layers(alpha=alpha)
