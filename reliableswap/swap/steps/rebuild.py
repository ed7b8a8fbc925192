"""Draw the person's own face in the target's pose, expression and light, with the decoder that was trained for them."""

from __future__ import annotations

import numpy as np
import torch

from reliableswap.faces.align import TEMPLATES, crop, similarity
from reliableswap.faces.detect import to_tensor
from reliableswap.swap.job import FaceJob


def rebuild(job: FaceJob) -> FaceJob:
    """Layer of the crop: `rebuilt` (S,S,3) float32 RGB in 0..255. S is the side that the decoder was trained at."""
    network = job.networks.people
    matrix = rebuilt_matrix(job)
    seen = to_tensor(crop(job.layer("reshaped"), matrix, _side(job)))
    with torch.inference_mode():
        made = network(seen.to(network.device, network.dtype), job.person.decoder)
    levels = (made[0].float().clamp(-1, 1) + 1) * 127.5
    return job.with_layers(rebuilt=np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy()))


def rebuilt_matrix(job: FaceJob) -> np.ndarray:
    """(2,3) from the target's region to the crop that the decoder answers with."""
    template = TEMPLATES[job.networks.people.config["template"]]
    return similarity(job.target.face.points5, template.at(_side(job)))


def _side(job: FaceJob) -> int:
    return int(job.networks.people.side_of(job.person.decoder))
