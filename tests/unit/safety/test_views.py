"""Views that hardly changed are not scored again, provided that they were harmless."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.people import portrait

from reliableswap.safety.views import Reduced, ScoreCache


class Eye:
    """A network with a constant score, which counts its calls."""

    def __init__(self, score: float) -> None:
        self.score, self.asked = score, 0

    def __call__(self, view: np.ndarray) -> float:
        self.asked += 1
        return self.score


def moved(pixels: np.ndarray, by: int) -> np.ndarray:
    return np.roll(pixels, by, axis=1)


def test_a_still_view_is_looked_at_every_fifth_time() -> None:
    eye, views, pixels = Eye(0.1), ScoreCache(), portrait(1, 256)
    assert [views.score(0, pixels, eye) for _ in range(11)] == [0.1] * 11
    assert eye.asked == 3


@pytest.mark.parametrize("score", [0.2, 0.9, math.nan])
def test_what_is_not_clearly_harmless_is_looked_at_every_time(score: float) -> None:
    eye, views, pixels = Eye(score), ScoreCache(), portrait(1, 256)
    for _ in range(4):
        views.score(0, pixels, eye)
    assert eye.asked == 4


def test_a_changed_view_is_looked_at() -> None:
    eye, views = Eye(0.0), ScoreCache()
    for pixels in (portrait(1, 256), portrait(2, 256), portrait(3, 256)):
        views.score(0, pixels, eye)
    assert eye.asked == 3


def test_slow_change_adds_up() -> None:
    """The view is compared with the one that was looked at, not with the one before."""
    eye, views, pixels = Eye(0.0), ScoreCache(), portrait(1, 256)
    for step in range(4):
        views.score(0, moved(pixels, 8 * step), eye)
    assert eye.asked > 1


def test_a_change_in_one_place_counts() -> None:
    pixels = portrait(1, 256)
    changed = pixels.copy()
    changed[200:232, 200:232] = np.where(changed[200:232, 200:232] < 128, 255, 0)
    assert Reduced.of(pixels).alike(Reduced.of(pixels.copy()))
    assert not Reduced.of(pixels).alike(Reduced.of(changed))


def test_a_result_that_looks_like_its_harmless_target_is_not_looked_at() -> None:
    eye, views = Eye(0.0), ScoreCache()
    for number in range(10):
        pixels = portrait(1 + number % 4, 256)
        views.score(0, np.clip(pixels.astype(int) + 2, 0, 255).astype(np.uint8), eye, harmless=pixels)
    assert eye.asked == 0
    views.score(0, portrait(1, 256), eye, harmless=portrait(2, 256))
    assert eye.asked == 1
