"""A beard beyond the jaw: how far a photo shows it, and the step that draws it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.jobs import job
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.parts import Parts
from reliableswap.geometry.jaw import jaw
from reliableswap.models.face_classes import CLASSES
from reliableswap.swap.beard import CELLS_PER_RAY, BeyondJaw
from reliableswap.swap.engines import run
from reliableswap.swap.job import FaceJob
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.steps.beard import beard_beyond
from reliableswap.swap.steps.expression import plan_expression
from reliableswap.swap.steps.lay import lay
from reliableswap.swap.steps.mix import mix
from reliableswap.swap.steps.opacity import opacity
from reliableswap.swap.steps.reshape import reshape_roughly

AT = np.linspace(-0.1, 0.4, CELLS_PER_RAY)
CHIN = slice(len(jaw()) // 2 - 3, len(jaw()) // 2 + 4)
BEARD, SKIN, WHITE = (40, 30, 25), (200, 150, 130), (240, 240, 240)


def seen(ends: float, then: str = "skin", of: str = "hair", goes_on: float = 1.0) -> BeyondJaw:
    """A chin that shows `of` up to the distance `ends` from the jaw, and `then` below; rays are the crop's columns."""
    kind = np.where(ends > AT, CLASSES.index(of), CLASSES.index(then))
    probabilities = np.zeros((len(CLASSES), 128, 128), np.float32)
    for row, one in enumerate(kind):
        probabilities[one, row] = 1
    x, y = np.meshgrid(np.arange(len(jaw())), np.arange(CELLS_PER_RAY))
    places = np.dstack([x, y]).astype(np.float32)
    rng = np.random.default_rng(0)
    colours = np.where((ends > AT)[:, None], BEARD, SKIN if then == "skin" else WHITE)
    colours = np.repeat(colours[:, None], len(jaw()), 1) + rng.integers(-8, 9, (CELLS_PER_RAY, len(jaw()), 3))
    parts = Parts(probabilities, np.eye(2, 3))
    begins = np.ones(len(jaw()), np.float32)
    return BeyondJaw(parts, places, AT >= 0, colours.astype(np.uint8), begins, goes_on)


@pytest.mark.parametrize("then", ["skin", "background"])
def test_a_beard_reaches_to_where_skin_or_background_begins(then: str) -> None:
    reach = seen(0.2, then).reach[:, CHIN]
    assert reach[AT < 0.15].min() > 0.9
    assert reach[AT > 0.25].max() < 0.1


def test_hair_without_an_end_is_no_beard_beyond_the_jaw() -> None:
    reach = seen(1.0).reach[:, CHIN]
    assert reach[AT < -0.02].min() > 0.9
    assert reach[AT > 0.02].max() < 0.1


def test_a_thing_below_the_chin_is_no_beard() -> None:
    assert seen(0.2, of="front").reach.max() < 0.1


def test_a_beard_can_be_limited_to_the_jaw() -> None:
    reach = seen(0.2, goes_on=0.0).reach[:, CHIN]
    assert reach[AT < -0.02].min() > 0.9
    assert reach[AT >= 0].max() == 0


def test_colours_are_told_apart_from_what_is_beside_the_beard() -> None:
    like = seen(0.2).likeness(np.array([BEARD, SKIN], np.uint8))
    assert like[0] > 0.9
    assert like[1] < 0.1


STEPS_BEFORE = (reshape_roughly, mix, opacity, plan_expression, lay)


def changed_below(pipe: ReliableSwapPipeline, target: np.ndarray, **parts: np.ndarray) -> float:
    """Mean change by the step at the middle of the throat; parts: planes of classes that replace the target's."""
    before = run(STEPS_BEFORE, job(pipe, target, portrait(5, 400), SwapSettings()))
    if parts:
        known = before.target.parts
        assert known is not None
        probabilities = known.probabilities.copy()
        for name, plane in parts.items():
            probabilities[CLASSES.index(name)] = plane
        told = before.target.with_results(parts=replace(known, probabilities=probabilities))
        before = FaceJob.start(told, before.person, before.settings, before.networks).with_layers(
            **before.layers
        )
    after = beard_beyond(before)
    x, y = np.rint(before.layer("placed")[152, :2] + [0, 0.06 * before.width]).astype(int)
    place = slice(y - 2, y + 3), slice(x - 5, x + 6)
    return float(np.abs(after.image[place].astype(float) - before.image[place]).mean())


@pytest.mark.slow
def test_the_step_draws_the_beard_behind_a_thing_in_front(pipe: ReliableSwapPipeline) -> None:
    target = portrait(10, 400)
    everywhere = np.ones((128, 128), np.float32)
    assert changed_below(pipe, target) > 30
    assert changed_below(pipe, target, front=everywhere) < 1
    # In front of the background a beard may hang from the chin, but not from a cheek.
    assert changed_below(pipe, target, background=everywhere) > 20


@pytest.mark.slow
def test_a_face_that_the_picture_cuts_off_below_the_chin_is_swapped(pipe: ReliableSwapPipeline) -> None:
    target = portrait(10, 400)
    chin = int(pipe.find(target)[0].mesh[152, 1])
    cut = np.ascontiguousarray(target[: chin + 8])
    made = pipe(portrait(5, 400), cut).pictures[0].pixels
    assert made.shape == cut.shape


@pytest.mark.slow
def test_without_a_visibility_network_nothing_is_known_of_a_beard(pipe: ReliableSwapPipeline) -> None:
    before = run(
        STEPS_BEFORE, job(pipe, portrait(10, 400), portrait(5, 400), SwapSettings(), visibility=None)
    )
    assert beard_beyond(before) is before
