"""The linear probe: its AUC is exact, and on Gaussians as high as theory allows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from reliableswap.evaluation.natural.probe import auc, fit


def test_wins_counts_pairs_and_halves_ties(rng: np.random.Generator) -> None:
    ones, others = rng.integers(0, 5, 30), rng.integers(0, 5, 20)
    counted = np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(ones, others)])
    assert auc(ones, others) == pytest.approx(counted)
    assert (auc(np.array([2.0]), np.array([1.0])), auc(np.array([1.0]), np.array([1.0]))) == (1, 0.5)


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0])
def test_the_auc_of_gaussians_reaches_its_optimum(distance: float, rng: np.random.Generator) -> None:
    """For Gaussians that lie d standard deviations apart, the best AUC is Phi(d / sqrt 2)."""
    direction = np.ones(6) / math.sqrt(6)
    results = rng.normal(size=(4000, 6)) + distance * direction
    photos = rng.normal(size=(4000, 6))
    probe = fit(results[:2000], photos[:2000])
    best = 0.5 * (1 + math.erf(distance / 2))
    assert auc(probe.score(results[2000:]), probe.score(photos[2000:])) == pytest.approx(best, abs=0.02)


def test_the_scale_of_a_feature_does_not_matter(rng: np.random.Generator) -> None:
    results, photos = rng.normal(1, 1, (50, 4)), rng.normal(0, 1, (50, 4))
    scale = np.array([1, 1e3, 1e-3, 50])
    one, other = fit(results, photos), fit(results * scale + 7, photos * scale + 7)
    assert other.score(results * scale + 7) == pytest.approx(one.score(results), abs=1e-5)


def test_both_sides_weigh_the_same_whatever_their_number(rng: np.random.Generator) -> None:
    results, photos = rng.normal(1, 1, (40, 4)), rng.normal(0, 1, (40, 4))
    probe = fit(results, np.concatenate([photos] * 5))
    assert probe.score(photos).mean() == pytest.approx(-probe.score(results).mean(), rel=0.35)


def test_a_constant_feature_and_equal_sides_score_zero(rng: np.random.Generator) -> None:
    same = np.column_stack([rng.normal(size=(30, 3)), np.full(30, 4.0)])
    probe = fit(same, same)
    assert np.abs(probe.score(same)).max() < 1e-6
