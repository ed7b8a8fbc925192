"""The step that preserves the contrast of low-contrast pictures."""

from __future__ import annotations

import numpy as np
import pytest
from support.triplet_people import photo

from reliableswap.geometry import regions
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps.contrast import contrast
from reliableswap.swap.subject import Subject


def job_of(target: np.ndarray, made: np.ndarray, mesh: np.ndarray) -> FaceJob:
    """A job with the face `made` on the target, in the target's shape."""
    subject = Subject.of_crop(target, mesh, Networks())
    job = FaceJob.start(subject, Person("source", (subject,)), SwapSettings(shape=0), Networks())
    return job.with_layers(image=made, reshaped=target, mask=np.ones(target.shape[:2], np.float32))


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_faint_picture_gets_a_faint_face(share: float) -> None:
    picture, mesh = photo(1)
    faint = np.rint(128 + share * (picture.astype(np.float32) - 128)).astype(np.uint8)
    inside = regions.eroded(regions.oval(mesh, picture.shape[:2]), 8) > 0
    made = contrast(job_of(faint, picture, mesh)).image
    before, after, wanted = (float(one[inside].std()) for one in (picture, made, faint))
    assert before > 1.8 * wanted
    assert after < before
    fine = [
        one[..., 1].astype(float) - np.roll(one[..., 1].astype(float), 3, 1) for one in (picture, made, faint)
    ]
    strengths = [one[inside].std() for one in fine]
    assert strengths[1] == pytest.approx(1.25 * strengths[2], rel=0.2)
    assert np.array_equal(made[:4], picture[:4])  # outside of the face


def test_photos_stay_as_they_are() -> None:
    picture, mesh = photo(1)
    job = job_of(picture, picture, mesh)
    assert contrast(job).image is job.image
    stronger = np.clip(picture.astype(float) * 1.1, 0, 255).astype(np.uint8)
    job = job_of(picture, stronger, mesh)
    assert contrast(job).image is job.image
