"""Keep a black and white or tinted photo free of other colours."""

from __future__ import annotations

from reliableswap.imaging.colour import match_monochrome
from reliableswap.swap.job import FaceJob


def tint(job: FaceJob) -> FaceJob:
    """Layer `image`, reduced to the photo's single tint if the photo has only one."""
    return job.with_layers(image=match_monochrome(job.image, job.target.pixels))
