"""Told from photos: how well a fresh linear probe tells results from real photos of other people.

The figure is the area under the ROC curve (AUC), 0.5 for chance and 1 for always: the share of pairs of a result and a
photo, neither of which trained the probe, in which it scores the result higher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reliableswap.evaluation.metrics.intervals import Estimate, bootstrap, combined

from .folds import Fold, PeopleOfResult, make_folds
from .probe import auc, fit


@dataclass(frozen=True, eq=False)
class Plan:
    """Which results are compared with which photos, the same for every method. results, photos: the people in them."""

    results: Sequence[PeopleOfResult]
    photos: Sequence[str]
    folds: Sequence[Fold]

    @classmethod
    def make(cls, results: Sequence[PeopleOfResult], photos: Sequence[str], seed: int) -> Plan:
        """Plan for these results and photos; raise if there are too few."""
        return cls(results, photos, make_folds(results, photos, seed))

    @property
    def used(self) -> list[int]:
        """The indices of the photos that some probe sees."""
        seen = [part for fold in self.folds for part in (fold.train_photos, fold.test_photos)]
        return [int(number) for number in np.unique(np.concatenate(seen))]

    def others(self, result: int, photos: np.ndarray) -> np.ndarray:
        """Return those of the photos that show neither the source nor the target of a result."""
        return np.array([n for n in photos if self.photos[n] not in self.results[result]], int)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Share of comparisons that the probe gets right, for each result (N,) and photo (M,); NaN without any."""

    results: np.ndarray
    photos: np.ndarray

    @property
    def auc(self) -> float:
        return float(np.nanmean(self.results))

    def estimate(
        self, plan: Plan, seed: int, groups: Sequence[str], is_video: bool = False
    ) -> Estimate | None:
        """Return the AUC with an interval that combines the errors of sampling results and photos."""
        people = () if is_video else tuple(zip(*plan.results, strict=True))
        one = bootstrap(self.results, seed, groups=groups, crossed=people, few_groups=is_video)
        other = bootstrap(self.photos, seed, groups=plan.photos)
        if one is None or other is None:
            return None
        both = combined(one, other)
        low, high = np.clip((both.low, both.high), 0.0, 1.0).tolist()  # np.clip keeps NaN
        return Estimate(both.value, low, high, both.count)


def compare(
    results: Mapping[int, np.ndarray], photos: Mapping[int, np.ndarray], plan: Plan
) -> tuple[Comparison, Comparison]:
    """Features (P,D) of the parts of each picture, by its index in the plan -> Comparison by picture, by single part.

    A picture's score is the mean of its parts' scores. Missing results (failures) are left out.
    """
    sums = np.zeros((2, len(plan.results), len(plan.photos)))
    counts = np.zeros((len(plan.results), len(plan.photos)))
    for fold in plan.folds:
        learnt = [results[n] for n in fold.train_results if n in results]
        if not learnt:
            continue
        probe = fit(np.concatenate(learnt), np.concatenate([photos[n] for n in fold.train_photos]))
        seen = {n: probe.score(photos[n]) for n in fold.test_photos}
        for i in fold.test_results:
            if i not in results:
                continue
            score = probe.score(results[i])
            for j in plan.others(int(i), fold.test_photos):
                sums[:, i, j] += (
                    auc(score.mean(keepdims=True), seen[j].mean(keepdims=True)),
                    auc(score, seen[j]),
                )
                counts[i, j] += 1
    return _means(sums[0], counts), _means(sums[1], counts)


def _means(sums: np.ndarray, counts: np.ndarray) -> Comparison:
    """Sums and counts of comparisons (N,M) -> the means of the rows and of the columns."""
    with np.errstate(invalid="ignore"):
        return Comparison(sums.sum(1) / counts.sum(1), sums.sum(0) / counts.sum(0))
