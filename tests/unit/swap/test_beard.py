"""How far a photo shows a beard beyond the jaw."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.faces.parts import Parts
from reliableswap.geometry.jaw import jaw
from reliableswap.models.face_classes import CLASSES
from reliableswap.swap.beard import STEPS, BeyondJaw

AT = np.linspace(-0.1, 0.4, STEPS)
CHIN = slice(len(jaw()) // 2 - 3, len(jaw()) // 2 + 4)
BEARD, SKIN, WHITE = (40, 30, 25), (200, 150, 130), (240, 240, 240)


def seen(ends: float, then: str = "skin", of: str = "hair", goes_on: float = 1.0) -> BeyondJaw:
    """A chin of `of` until a distance from the jaw and something else below; the rays are the crop's columns."""
    kind = np.where(ends > AT, CLASSES.index(of), CLASSES.index(then))
    odds = np.zeros((len(CLASSES), 128, 128), np.float32)
    for row, one in enumerate(kind):
        odds[one, row] = 1
    x, y = np.meshgrid(np.arange(len(jaw())), np.arange(STEPS))
    places = np.dstack([x, y]).astype(np.float32)
    rng = np.random.default_rng(0)
    colours = np.where((ends > AT)[:, None], BEARD, SKIN if then == "skin" else WHITE)
    colours = np.repeat(colours[:, None], len(jaw()), 1) + rng.integers(-8, 9, (STEPS, len(jaw()), 3))
    parts = Parts(odds, np.eye(2, 3))
    begins = np.ones(len(jaw()), np.float32)
    return BeyondJaw(parts, places, AT >= 0, colours.astype(np.uint8), begins, goes_on)


@pytest.mark.parametrize("then", ["skin", "background"])
def test_a_beard_reaches_to_where_skin_or_background_begins(then: str) -> None:
    reach = seen(0.2, then).reach[:, CHIN]
    assert reach[AT < 0.15].min() > 0.9
    assert reach[AT > 0.25].max() < 0.1


def test_what_shows_no_end_is_no_beard_beyond_the_jaw() -> None:
    reach = seen(1.0).reach[:, CHIN]
    assert reach[AT < -0.02].min() > 0.9
    assert reach[AT > 0.02].max() < 0.1


def test_a_thing_below_the_chin_is_no_beard() -> None:
    assert seen(0.2, of="front").reach.max() < 0.1


def test_a_beard_may_be_wanted_up_to_the_jaw_only() -> None:
    reach = seen(0.2, goes_on=0.0).reach[:, CHIN]
    assert reach[AT < -0.02].min() > 0.9
    assert reach[AT >= 0].max() == 0


def test_colours_are_told_apart_from_what_is_beside_the_beard() -> None:
    like = seen(0.2).likeness(np.array([BEARD, SKIN], np.uint8))
    assert like[0] > 0.9
    assert like[1] < 0.1
