"""Bootstrap intervals cover the true value as often as they claim, also for values that are not independent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reliableswap.evaluation.metrics.intervals import Estimate, bootstrap


def estimate(*arguments: Any, **options: Any) -> Estimate:
    found = bootstrap(*arguments, **options)
    assert found is not None
    return found


def width(found: Estimate) -> float:
    return found.high - found.low


def test_intervals_cover_the_true_mean_as_often_as_they_claim() -> None:
    rng = np.random.default_rng(1)
    found = [estimate(rng.normal(3, 1, 60), seed=trial, copies=300) for trial in range(200)]
    assert 0.88 <= np.mean([one.low <= 3 <= one.high for one in found]) <= 0.99


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, 0, 0.278), (1.0, 0.722, 1)])
def test_a_share_of_nothing_or_all_gets_wilsons_interval(value: float, low: float, high: float) -> None:
    found = estimate([value] * 10, share=True)
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), abs=1e-3)


def test_equal_values_other_than_shares_have_an_interval_of_zero_width() -> None:
    assert width(estimate([0.0] * 10)) == 0


@pytest.mark.slow
def test_pairs_that_share_people_need_wider_intervals() -> None:
    """Results that share a source or a target person are correlated."""
    rng, people, count, trials = np.random.default_rng(2), 30, 300, 120
    covered = {"independent": 0, "crossed": 0}
    for trial in range(trials):
        as_source, as_target = rng.normal(0, 0.7, (2, people))
        s, t = rng.integers(people, size=(2, count))
        values = 5 + as_source[s] + as_target[t] + rng.normal(0, 1, count)
        names = [[f"p{i}" for i in one] for one in (s, t)]
        for kind, crossed in (("independent", []), ("crossed", names)):
            found = estimate(values, seed=trial, copies=200, crossed=crossed)
            covered[kind] += found.low <= 5 <= found.high
    assert covered["independent"] < 0.75 * trials
    assert 0.86 * trials < covered["crossed"] < trials


def test_pairs_of_different_people_are_not_widened(rng: np.random.Generator) -> None:
    values = rng.random(50)
    assert bootstrap(values) == bootstrap(values, crossed=[[str(i) for i in range(50)]] * 2)


def test_the_interval_of_a_share_stays_between_0_and_1() -> None:
    found = estimate([1.0] * 49 + [0.0], share=True, crossed=[["a"] * 50, ["b"] * 50])
    assert found.high <= 1


def test_frames_of_one_video_are_drawn_together(rng: np.random.Generator) -> None:
    values = np.repeat(rng.normal(size=20), 10)
    alone, together = estimate(values), estimate(values, groups=[str(i // 10) for i in range(200)])
    assert together.value == pytest.approx(alone.value)
    assert width(together) > 2 * width(alone)


def test_without_finite_values_there_is_no_estimate() -> None:
    assert bootstrap([math.nan, math.nan]) is None
    assert bootstrap([]) is None


def test_the_median_ignores_missing_values() -> None:
    found = estimate([1, 2, 100, math.nan], median=True)
    assert (found.value, found.count) == (2, 3)


@pytest.mark.parametrize("clips", [2, 3, 5, 8])
def test_intervals_over_few_clips_claim_no_more_than_they_hold(clips: int) -> None:
    rng, wrong = np.random.default_rng(clips), 0
    for trial in range(300):
        values = np.repeat(rng.normal(size=clips), 5) + rng.normal(0, 0.1, 5 * clips)
        names = [str(i // 5) for i in range(5 * clips)]
        found = estimate(values, trial, copies=200, groups=names, few_groups=True)
        wrong += found.low > 0 or found.high < 0
    assert wrong / 300 < 0.09


def test_one_clip_has_no_interval(rng: np.random.Generator) -> None:
    values = rng.normal(size=40)
    found = estimate(values, groups=["clip"] * 40, few_groups=True)
    assert found.value == pytest.approx(values.mean())
    assert not found.has_interval


def test_a_share_over_few_clips_stays_between_0_and_1() -> None:
    found = estimate([1, 1, 1, 0], groups=["a", "a", "b", "b"], share=True, few_groups=True)
    assert (found.low, found.high) == (0, 1)
