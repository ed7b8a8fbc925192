"""Let a layered generator say how source and target are to be mixed."""

from __future__ import annotations

import numpy as np

from reliableswap.faces.align import to_planes
from reliableswap.models.mixture import LARGEST, enlarged, mixture, reduced
from reliableswap.swap.job import FaceJob

from .cover import cover_of
from .guide import guide, identity_request


def mix(job: FaceJob) -> FaceJob:
    """Layers of the crop: the mixture's terms `of_texture`, `of_target` (S,S) and `rest` (S,S,3), and its `flow`
    (2,128,128), as mixture.py says; `generated` (S,S,3) float32, the face as the crop shows it; and `cover` (256,256)
    in 0..1, where the face counts.

    A cover has one size in all frames of a clip, so that it can be steadied while crops grow.
    """
    if "seen" not in job.layers:
        job = guide(job)
    generator, seen, guidance = job.networks.generator, job.layer("seen"), job.layer("guidance")
    drawn, maps, logits = generator.maps(reduced(to_planes(seen)), identity_request(job), reduced(guidance))
    lean = float(generator.config.get("lean", 0.0)) if job.is_large else None
    mixed = mixture(drawn[0], maps[0], seen, guidance[0], job.layer("toned"), lean)
    if job.only_source_bearded > 0:
        mixed = mixed.showing(job.layer("beard"), job.layer("toned"))
    mask = 0.5 + 0.5 * np.tanh(0.5 * enlarged(logits[0, 0], LARGEST))
    return job.with_layers(
        of_texture=mixed.texture,
        of_target=mixed.target,
        rest=mixed.rest,
        flow=mixed.flow,
        generated=mixed.picture,
        cover=np.maximum(cover_of(mask), enlarged(job.layer("beard"), LARGEST)),
    )
