"""Find out what covers both faces, while another step runs: later steps ask for it."""

from __future__ import annotations

from reliableswap.swap.job import FaceJob


def look_for_texture(job: FaceJob) -> FaceJob:
    """No layer: what covers the faces of `texture`, which reads the source's photo."""
    _ = job.source.strict_covers, job.target.covers
    return job


def look_for_guidance(job: FaceJob) -> FaceJob:
    """No layer: the source as `guide` reads it, and what covers the target's face."""
    if job.networks.generator.guidance_channels:
        view = job.crop.size, job.crop.template
        _ = job.source.aligned(*view), job.source.covers_in_crop(*view)
    _ = job.target.covers
    return job
