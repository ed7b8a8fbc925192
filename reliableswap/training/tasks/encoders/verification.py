"""Verification: do two photos show one person? Pairs of held-out people, and how many an encoder tells right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.data.crops import Crops
from reliableswap.errors import ReliableSwapError


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of photos as in Labeled Faces in the Wild: rows (M,) of the crops, and by position in rows left (P,),
    right (P,), same (P,): whether they show one person. Half do, so chance is one half."""

    rows: np.ndarray
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray

    def accuracy(self, vectors: np.ndarray) -> float:
        """vectors (M,D) of length 1 -> share of pairs told right; see `verification`."""
        return verification((vectors[self.left] * vectors[self.right]).sum(1), self.same)


def draw_pairs(crops: Crops, rows: np.ndarray, count: int, each: int = 10) -> Pairs:
    """At most `count` pairs among people with two photos or more, at most `each` of one person's own."""
    rng = np.random.default_rng(0)
    people = list(crops.people(rows).values())
    if len(people) < 2:
        raise ReliableSwapError(
            f"{len(people)} of the held-out people have two photos, so there is nothing to tell apart; add photos of "
            "more people, one sub-folder each"
        )
    same: list[tuple[int, int]] = []
    for own in people:
        first, second = np.triu_indices(len(own), 1)
        for k in rng.permutation(len(first))[:each]:
            same.append((own[first[k]], own[second[k]]))
    same = [same[k] for k in rng.permutation(len(same))[: max(1, count // 2)]]
    other: set[tuple[int, int]] = set()
    for _ in range(10 * len(same)):  # few people have few such pairs, so that there may not be enough
        a, b = (people[k] for k in rng.choice(len(people), 2, replace=False))
        if len(other) < len(same):
            other.add((int(rng.choice(a)), int(rng.choice(b))))
    # Turn about, so that every fold has as many of both.
    shown = [pair for both in zip(same, sorted(other), strict=False) for pair in both]
    used, where = np.unique(np.array(shown), return_inverse=True)
    left, right = where.reshape(-1, 2).T
    return Pairs(used, left, right, np.arange(len(shown)) % 2 == 0)


def verification(similarity: np.ndarray, same: np.ndarray, folds: int = 10) -> float:
    """(P,), (P,) -> accuracy with, for each fold, the threshold that is best on all the others."""
    fold = np.arange(len(same)) // 2 % max(2, min(folds, len(same) // 2))
    right = 0
    for k in range(int(fold.max()) + 1):
        threshold = best_threshold(similarity[fold != k], same[fold != k])
        right += int(((similarity[fold == k] > threshold) == same[fold == k]).sum())
    return right / len(same)


def best_threshold(similarity: np.ndarray, same: np.ndarray) -> float:
    """Midway between the two neighbouring similarities between which most pairs are told right."""
    if not len(same):
        return 0.0
    order = np.argsort(similarity, kind="stable")
    ordered, truth = similarity[order], same[order]
    # With the threshold before position k: rejected right below it, accepted right from it on.
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum() - np.concatenate([[0], np.cumsum(truth)])
    edges = np.concatenate([[ordered[0] - 1], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] + 1]])
    return float(edges[int(np.argmax(right))])
