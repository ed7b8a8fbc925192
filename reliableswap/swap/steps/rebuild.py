"""Draw the person's own face in the target's pose, expression and light, with the decoder that was trained for them."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.align import TEMPLATES, crop, similarity, to_planes
from reliableswap.swap.job import FaceJob


def rebuild(job: FaceJob) -> FaceJob:
    """Layer of the crop: `rebuilt` (S,S,3) float32 RGB in 0..255. S is the side that the decoder was trained at."""
    network = job.networks.people
    matrix = rebuilt_matrix(job)
    seen = to_planes(crop(job.layer("reshaped"), matrix, _side(job)))
    (made,) = network(seen, job.person.decoder)
    levels = (np.clip(made[0], -1, 1) + 1) * np.float32(127.5)
    return job.with_layers(rebuilt=np.ascontiguousarray(levels.transpose(1, 2, 0)))


def rebuilt_matrix(job: FaceJob) -> np.ndarray:
    """(2,3) from the target's region to the crop that the decoder draws."""
    template = TEMPLATES[job.networks.people.config["template"]]
    return similarity(job.target.face.points5, template.at(_side(job)))


def _side(job: FaceJob) -> int:
    return int(job.networks.people.side_of(job.person.decoder))
