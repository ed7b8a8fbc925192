"""Means with 95 % bootstrap intervals for values that are not independent.

`scipy.stats.bootstrap` resamples independent values only: it neither draws whole clusters (the frames of one video)
nor accounts for two crossed clusters (pairs that share a source or a target person). Intervals that ignore this are
too narrow, as `tests/unit/evaluation/metrics/test_intervals.py` measures; hence the code below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.96  # standard deviations on either side of a normal distribution's mean that hold 95 %
_T = (12.706, 4.303, 3.182, 2.776)  # the same for Student's t with 1 to 4 degrees of freedom


@dataclass(frozen=True)
class Estimate:
    """The mean (or median) of `count` values with its 95 % interval; low and high are NaN if there is none."""

    value: float
    low: float
    high: float
    count: int

    @property
    def has_interval(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


def bootstrap(
    values: Sequence[float] | np.ndarray,
    seed: int = 0,
    copies: int = 1000,
    median: bool = False,
    groups: Sequence[str] | None = None,
    share: bool = False,
    crossed: Sequence[Sequence[str]] = (),
    few_groups: bool = False,
) -> Estimate | None:
    """Estimate the mean (or median) of the finite values; None if there are none.

    groups: the label of each value; values with the same label (frames of one video) are drawn together.
    crossed: two labellings, such as source and target person. Values that share a label are correlated, so the
        interval is widened by the two-way clustered variance of the mean (Cameron, Gelbach and Miller 2011).
    few_groups: there may be few groups, such as clips. The interval is widened accordingly; one group gives none, as
        the variation between groups is then unknown.
    share: the values are 0 or 1. If all are equal, resampling would give an interval of zero width; Wilson's is used.
    """
    array = np.asarray(values, np.float64)
    known = np.isfinite(array)
    if not known.any():
        return None
    labels = np.arange(len(array)) if groups is None else _numbered(groups)
    array, labels = array[known], _numbered(labels[known])
    clusters = int(labels.max()) + 1
    rng = np.random.default_rng(seed)
    if median:
        value, samples = _medians(array, labels, clusters, copies, rng)
    else:
        value, samples = _means(array, labels, clusters, copies, rng)
    low, high = (float(edge) for edge in np.quantile(samples, (0.025, 0.975)))
    if len(crossed) == 2 and not median:
        factor = _widening(array - value, [np.asarray(one)[known] for one in crossed])
        low, high = value - factor * (value - low), value + factor * (high - value)
        if share:
            low, high = max(low, 0.0), min(high, 1.0)
    if few_groups:
        factor = _few_groups_factor(clusters)
        low, high = value - factor * (value - low), value + factor * (high - value)
        if share:
            low, high = np.clip((low, high), 0.0, 1.0).tolist()
    if share and value in (0.0, 1.0):
        unseen = _Z**2 / (clusters + _Z**2)  # Wilson's bound for a share that was never observed
        low, high = (0.0, unseen) if value == 0 else (1 - unseen, 1.0)
    return Estimate(value, low, high, len(array))


def combined(one: Estimate, other: Estimate) -> Estimate:
    """Return the value of `one` with an interval for both errors, which are independent."""
    low = math.hypot(one.value - one.low, other.value - other.low)
    high = math.hypot(one.high - one.value, other.high - other.value)
    return Estimate(one.value, one.value - low, one.value + high, one.count)


def _numbered(labels: Sequence[str] | np.ndarray) -> np.ndarray:
    """(N,) labels -> (N,) integers from 0, without gaps."""
    return np.asarray(np.unique(np.asarray(labels), return_inverse=True)[1])


def _means(
    values: np.ndarray, labels: np.ndarray, clusters: int, copies: int, rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """The mean, and the means (copies,) of resampled clusters."""
    sums, sizes = np.bincount(labels, values), np.bincount(labels)
    times = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=copies)
    return float(values.mean()), (times @ sums) / (times @ sizes)


def _medians(
    values: np.ndarray, labels: np.ndarray, clusters: int, copies: int, rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """The median, and the medians (copies,) of resampled clusters."""
    members = [values[labels == cluster] for cluster in range(clusters)]
    picks = rng.integers(clusters, size=(copies, clusters))
    samples = [np.median(np.concatenate([members[i] for i in row])) for row in picks]
    return float(np.median(values)), np.array(samples)


def _few_groups_factor(groups: int) -> float:
    """Return the factor by which to widen a bootstrap interval for few groups; NaN for one.

    Bootstrap copies vary less than samples, by the square root of (k - 1) / k. The variance of samples is itself
    uncertain, which Student's distribution accounts for.
    """
    freedom = groups - 1
    if not freedom:
        return math.nan
    if freedom <= len(_T):
        student = _T[freedom - 1]
    else:  # Cornish-Fisher expansion
        cube, fifth = _Z**3, _Z**5
        student = _Z + (cube + _Z) / (4 * freedom) + (5 * fifth + 16 * cube + 3 * _Z) / (96 * freedom**2)
    return math.sqrt(groups / freedom) * student / _Z


def _widening(residuals: np.ndarray, crossed: Sequence[np.ndarray]) -> float:
    """The ratio of the mean's two-way clustered standard error to its independent one; at least 1."""
    first, second = (_numbered(one) for one in crossed)
    both = _numbered(first * (int(second.max()) + 1) + second)
    parts = [float(np.square(np.bincount(labels, residuals)).sum()) for labels in (first, second, both)]
    independent = float(np.square(residuals).sum())
    if independent <= 0:
        return 1.0
    return float(np.sqrt(max((parts[0] + parts[1] - parts[2]) / independent, 1.0)))
