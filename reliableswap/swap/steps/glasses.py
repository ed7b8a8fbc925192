"""Keep the target's glasses in front of the generated face."""

from __future__ import annotations

from reliableswap.geometry.shape import origins
from reliableswap.swap.job import FaceJob

from .crop import enlarged, face_in_crop_window, in_region


def glasses(job: FaceJob) -> FaceJob:
    """Layer of the crop's window: `alpha` (h,w), the opacity of the generated face.

    Hair and hands the generator leaves out by itself.
    """
    alpha = enlarged(job, job.layer("cover") * job.settings.likeness)
    piece = face_in_crop_window(job)
    worn = job.target.covers.glasses.at(origins(job.move, in_region(job, piece)))
    alpha[piece] *= 1 - job.settings.glasses * worn
    return job.with_layers(alpha=alpha)
