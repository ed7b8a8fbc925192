"""Find in advance what covers both faces, in parallel with another step; later steps need it."""

from __future__ import annotations

from reliableswap.swap.job import FaceJob


def prefetch_for_texture(job: FaceJob) -> FaceJob:
    """No layer; caches the covers of both faces for `texture`, which samples the source's photo."""
    _ = job.source.strict_covers, job.target.covers
    return job


def prefetch_for_guidance(job: FaceJob) -> FaceJob:
    """No layer; caches the source's crop, covers and hard light for `guide`, and the target's covers."""
    if job.networks.generator.guidance_channels:
        view = job.crop.size, job.crop.template
        _ = job.source.aligned(*view), job.source.covers_in_crop(*view)
        if job.soft_light:
            _ = job.source.hard_light
    _ = job.target.covers
    return job
