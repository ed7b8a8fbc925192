"""The "told from photos" figures, on synthetic features with a known AUC."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reliableswap.evaluation.natural.comparison import Plan, compare
from reliableswap.evaluation.natural.probe import auc

PAIRS = 80
PLAN = Plan.make(
    [(f"source {n}", f"target {n}") for n in range(PAIRS)], [f"other {n}" for n in range(PAIRS)], 0
)
GROUPS = [str(number) for number in range(PAIRS)]


def pictures(
    rng: np.random.Generator, shift: float, parts: int = 1, own: float = 0.0
) -> dict[int, np.ndarray]:
    """Features (parts,3); the first differs by `shift` from a photo's, `own` is what a picture's parts share."""
    found = rng.normal(size=(PAIRS, parts, 3)) + own * rng.normal(size=(PAIRS, 1, 3))
    found[..., 0] += shift
    return dict(enumerate(found))


def test_the_auc_of_gaussians_is_found(rng: np.random.Generator) -> None:
    one, _ = compare(pictures(rng, 1.5), pictures(rng, 0), PLAN)
    estimate = one.estimate(PLAN, 0, GROUPS)
    assert estimate is not None
    assert one.auc == estimate.value == pytest.approx(0.5 * (1 + math.erf(1.5 / 2)), abs=0.06)
    assert 0.03 < estimate.value - estimate.low < 0.12
    assert estimate.count == PAIRS


@pytest.mark.slow
def test_the_interval_of_photos_holds_a_half_mostly(rng: np.random.Generator) -> None:
    held = []
    for _ in range(12):
        one, _ = compare(pictures(rng, 0), pictures(rng, 0), PLAN)
        estimate = one.estimate(PLAN, 0, GROUPS)
        assert estimate is not None
        held.append(estimate.low <= 0.5 <= estimate.high)
    assert sum(held) >= 9


def test_a_picture_is_distinguished_better_than_its_parts(rng: np.random.Generator) -> None:
    results, photos = pictures(rng, 0.5, parts=16, own=0.2), pictures(rng, 0, parts=16, own=0.2)
    by_picture, by_part = compare(results, photos, PLAN)
    ones, others = (np.concatenate([*side.values()])[:, 0] for side in (results, photos))
    assert by_part.auc == pytest.approx(auc(ones, others), abs=0.02)
    assert by_picture.auc > by_part.auc + 0.1


def test_failures_are_left_out(rng: np.random.Generator) -> None:
    results = {number: one for number, one in pictures(rng, 8).items() if number % 4}
    one, _ = compare(results, pictures(rng, 0), PLAN)
    assert np.isnan(one.results[::4]).all()
    assert np.isfinite(one.results).sum() == len(results)
    assert one.auc > 0.99
    estimate = one.estimate(PLAN, 0, GROUPS)
    assert estimate is not None
    assert estimate.count == len(results)
    nothing, _ = compare({}, pictures(rng, 0), PLAN)
    assert nothing.estimate(PLAN, 0, GROUPS) is None


def test_a_repetition_gives_the_same(rng: np.random.Generator) -> None:
    results, photos = pictures(rng, 1), pictures(rng, 0)
    (one, _), (same, _) = compare(results, photos, PLAN), compare(results, photos, PLAN)
    assert np.array_equal(one.results, same.results)
    assert one.estimate(PLAN, 3, GROUPS) == same.estimate(PLAN, 3, GROUPS)


def test_a_result_is_not_compared_with_photos_of_its_own_people() -> None:
    people = [str(number) for number in range(40)]
    plan = Plan.make([(people[n - 1], people[n]) for n in range(40)], people, 0)
    assert plan.others(5, np.arange(40)).tolist() == [n for n in range(40) if n not in (4, 5)]
