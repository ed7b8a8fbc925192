"""Beards of people who do not exist."""

from __future__ import annotations

import numpy as np
import pytest
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.beards import TERMS, bearded, share_of
from reliableswap.faces.parts import bundled_visibility, find_parts
from reliableswap.faces.visibility import find_covers, find_lower_shares

BEARDED = 5


@pytest.mark.parametrize("number", range(1, 11))
def test_beards_of_openpeople_are_recognised(pipe: ReliableSwapPipeline, number: int) -> None:
    picture = portrait(number, 360)
    mesh = pipe.find(picture)[0].mesh
    parts = find_parts(picture, mesh, bundled_visibility())
    shares = find_lower_shares(picture, mesh, parts)
    assert shares.shape == (TERMS,)
    assert shares.min() >= 0
    found = bearded(shares)
    assert found == find_covers(picture, mesh, None, parts=parts).bearded
    assert (found > 0.5) == (number == BEARDED)


def test_a_share_is_the_mean_inside_a_region() -> None:
    plane = np.array([[0.0, 1.0], [0.5, 1.0]], np.float32)
    assert share_of(plane, np.array([[1, 0], [1, 0]], np.float32)) == 0.25
    assert share_of(plane, np.zeros((2, 2), np.float32)) == 0
