"""The rendered styles, and that swaps into them keep their domain."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.imaging import colour

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from cross_domain import domain
from styles import STYLES


@pytest.mark.parametrize("style", sorted(STYLES))
def test_a_rendered_picture_still_shows_a_face(pipe: ReliableSwapPipeline, style: str) -> None:
    photo = portrait(2, 300)
    made = STYLES[style](photo)
    assert made.shape == photo.shape
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - photo).mean() > 4
    assert np.array_equal(made, STYLES[style](photo))
    mesh, wanted = pipe.find(made)[0].mesh, pipe.find(photo)[0].mesh
    assert np.abs(mesh - wanted)[:, :2].mean() < 0.03 * np.ptp(wanted[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["neural", "blend"])
def test_swaps_into_a_relief_keep_its_contrast_and_tint(pipe: ReliableSwapPipeline, engine: str) -> None:
    target = STYLES["stone"](portrait(2, 300))
    result = pipe(portrait(1, 300), target, engine=engine).pictures[0].pixels
    face = pipe.find(target)[0]
    found = domain(result, target, face.mesh)
    assert found["colour"] < 1.5
    assert found["coarse"] < 1.6
    lightness = [colour.to_lab(one)[..., 0] for one in (result, target)]
    assert abs(float(np.mean(lightness[0] - lightness[1]))) < 3
