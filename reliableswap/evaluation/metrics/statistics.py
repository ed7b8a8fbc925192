"""Means with bootstrap intervals, and identity retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_Z = 1.96  # deviations of a normal distribution that hold 95 %


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` pairs (or a median), and the interval that holds 95 % of its bootstrap copies."""

    value: float
    low: float
    high: float
    count: int


def bootstrap(
    values: Sequence[float] | np.ndarray,
    seed: int = 0,
    copies: int = 1000,
    median: bool = False,
    groups: Sequence[str] | None = None,
    share: bool = False,
    crossed: Sequence[Sequence[str]] = (),
) -> Estimate | None:
    """The mean (or median) of the values that are numbers; None if there are none.

    groups: values of one group (the frames of one video) are drawn together, because they are not independent.
    crossed: labels of the values, such as the source's and the target's person. Values that share one are not quite
    independent either, and the interval is widened by what clusters in both ways add to the mean's deviation (Cameron,
    Gelbach and Miller 2011).
    share: the values say how often something happened. Where it happened always or never, copies of the sample know
    nothing of the other case, and the interval is Wilson's.
    """
    array = np.asarray(values, np.float64)
    known = np.isfinite(array)
    labels = (
        np.arange(len(array)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    )
    array, labels = array[known], labels[known]
    if not len(array):
        return None
    _, labels = np.unique(labels, return_inverse=True)
    drawn = int(labels.max()) + 1
    rng = np.random.default_rng(seed)
    if median:
        members = [array[labels == group] for group in range(drawn)]
        picks = rng.integers(drawn, size=(copies, drawn))
        samples = np.array([np.median(np.concatenate([members[i] for i in row])) for row in picks])
        value = float(np.median(array))
    else:
        sums, sizes = np.bincount(labels, array), np.bincount(labels)
        times = rng.multinomial(drawn, np.full(drawn, 1 / drawn), size=copies)
        samples, value = (times @ sums) / (times @ sizes), float(array.mean())
    low, high = np.quantile(samples, (0.025, 0.975))
    if len(crossed) == 2 and not median:
        wider = _widening(array - value, [np.asarray(one)[known] for one in crossed])
        low, high = value - wider * (value - low), value + wider * (high - value)
        if share:
            low, high = max(low, 0.0), min(high, 1.0)
    if share and value in (0.0, 1.0):
        unseen = _Z**2 / (drawn + _Z**2)
        low, high = (0.0, unseen) if value == 0 else (1 - unseen, 1.0)
    return Estimate(value, float(low), float(high), len(array))


def _widening(residuals: np.ndarray, crossed: Sequence[np.ndarray]) -> float:
    """By what factor the mean deviates more than it would if all values were independent; at least 1."""
    first, second = (np.unique(one, return_inverse=True)[1] for one in crossed)
    both = np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)[1]
    of = [float(np.square(np.bincount(labels, residuals)).sum()) for labels in (first, second, both)]
    alone = float(np.square(residuals).sum())
    return float(np.sqrt(max((of[0] + of[1] - of[2]) / alone, 1.0))) if alone > 0 else 1.0


def ranks(
    queries: np.ndarray, wanted: Sequence[str], gallery: np.ndarray, people: Sequence[str]
) -> np.ndarray:
    """(N,) 1 for a query (N,D) nearest to the person it should be, 2 if one other person is nearer, and so on.

    gallery (M,D), people: whom each entry shows. A person is as near as the nearest of their entries; a tie
    counts against the query, so that vectors that are all alike do not look like success.
    """
    names = sorted(set(people))
    index = {name: i for i, name in enumerate(names)}
    missing = sorted(set(wanted) - index.keys())
    if missing:
        raise ValueError(f"the gallery shows nobody called {missing[0]}, who is looked for")
    owner = np.array([index[name] for name in people])
    similarity = queries @ gallery.T
    best = np.full((len(queries), len(names)), -np.inf)
    for person in range(len(names)):
        best[:, person] = similarity[:, owner == person].max(1)
    own = best[np.arange(len(queries)), [index[name] for name in wanted]]
    # The person's own column is always >= itself: it is the 1 that ranks begin with.
    return np.asarray((best >= own[:, None]).sum(1))
