"""Which surrogates are dropped, and why."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from support.triplet_people import aligned

from reliableswap.data.aligned import AlignedFace
from reliableswap.faces.quality import sharpness
from reliableswap.triplets.filter import Likeness, reason_by_identity, reason_by_picture
from reliableswap.triplets.settings import FilterSettings, Variation
from reliableswap.triplets.surrogates.target import (
    Recipe,
    draw_recipe,
    synthesise,
)


@pytest.fixture(scope="module")
def faces() -> list[AlignedFace]:
    return [aligned(n) for n in (1, 2, 3)]


def test_each_bad_surrogate_has_its_reason(faces: list[AlignedFace]) -> None:
    target, limits = faces[0], FilterSettings()
    fine = synthesise(target, faces[1], Recipe(draw_recipe(Variation(), np.random.default_rng(0)).blend))
    replace = dataclasses.replace
    blurred = AlignedFace(cv2.GaussianBlur(fine.face.crop, (0, 0), 2.0), fine.face.mesh)
    broken = AlignedFace(fine.face.crop, np.full_like(fine.face.mesh, np.nan))
    assert reason_by_picture(replace(fine, face=blurred), sharpness(target.crop), limits) == "blurred"
    assert reason_by_picture(replace(fine, face=broken), sharpness(target.crop), limits) == "geometry"
    assert reason_by_picture(replace(fine, folded=0.2), sharpness(target.crop), limits) == "geometry"
    assert reason_by_picture(replace(fine, shown=0.3), sharpness(target.crop), limits) == "source hidden"
    assert reason_by_identity(Likeness(0.5, 0.2), limits) is None
    assert reason_by_identity(Likeness(0.1, 0.0), limits) == "unlike source"
    assert reason_by_identity(Likeness(0.7, 0.6), limits) == "like target"
    assert reason_by_identity(Likeness(0.35, 0.4), limits) == "like target"
