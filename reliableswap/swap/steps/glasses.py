"""Keep the target's glasses in front of the generated face."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.align import paste_back
from reliableswap.geometry.regions import window
from reliableswap.geometry.shape import origins
from reliableswap.swap.job import FaceJob

from .generate import crop_matrix


def glasses(job: FaceJob) -> FaceJob:
    """Layer `alpha` (H,W): the opacity of the generated face; hair and hands the generator leaves out by itself."""
    alpha = paste_back(job.layer("cover") * job.settings.likeness, crop_matrix(job), job.target.shape)
    piece = window(job.goal, job.target.shape, 0.1 * job.width)
    worn = job.target.covers.glasses.at(origins(job.move, piece))
    alpha[piece] *= 1 - job.settings.glasses * worn
    return job.with_layers(alpha=np.asarray(alpha, np.float32))
