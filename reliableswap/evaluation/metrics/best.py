"""Find the best method by each metric, if its lead over every other one exceeds chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reliableswap.evaluation.results import MethodResult

from .definitions import METRICS, Metric
from .intervals import Estimate, bootstrap, combined

MIN_PAIRS = 8  # pairs, or clips of a video protocol: a bootstrap of fewer differences says nothing


def best_methods(results: Sequence[MethodResult], seed: int, photos: Sequence[str] = ()) -> dict[str, str]:
    """Return metric -> best method, without controls; photos: the people in the photos of "told from photos".

    The 95 % interval of its difference from each other method, over the pairs that both have, must exclude 0.
    """
    found = {}
    for metric in METRICS:
        known = [one for one in results if not one.control and metric.key in one.estimates]
        if len(known) < 2:
            continue
        sign = 1 if metric.better == "up" else -1
        best = max(known, key=lambda one: sign * one.estimates[metric.key].value)
        if all(_leads(metric, best, other, seed, photos) for other in known if other is not best):
            found[metric.key] = best.name
    return found


def difference(
    metric: Metric, one: MethodResult, other: MethodResult, seed: int, photos: Sequence[str] = ()
) -> Estimate | None:
    """The metric of `one` minus that of `other` over the pairs that both have; None below MIN_PAIRS.

    The frames of one clip count as one.
    """
    pairs = [result.pair for result in one.pairs]
    gaps = np.array(
        [
            a.metrics.get(metric.key, math.nan) - b.metrics.get(metric.key, math.nan)
            for a, b in zip(one.pairs, other.pairs, strict=True)
        ]
    )
    groups = [pair.clip or pair.name for pair in pairs]
    if len({group for group, gap in zip(groups, gaps, strict=True) if math.isfinite(gap)}) < MIN_PAIRS:
        return None
    is_video = any(pair.clip is not None for pair in pairs)
    people = ([pair.source.person for pair in pairs], [pair.target.person for pair in pairs])
    found = bootstrap(
        gaps,
        seed,
        median=metric.median,
        groups=groups,
        crossed=() if is_video else people,
        few_groups=is_video,
    )
    if found is None or metric.key not in one.told_photos or metric.key not in other.told_photos:
        return found
    by_photo = bootstrap(one.told_photos[metric.key] - other.told_photos[metric.key], seed, groups=photos)
    return found if by_photo is None else combined(found, by_photo)


def _leads(metric: Metric, best: MethodResult, other: MethodResult, seed: int, photos: Sequence[str]) -> bool:
    gap = difference(metric, best, other, seed, photos)
    if gap is None:
        return False
    return gap.low > 0 if metric.better == "up" else gap.high < 0
