"""Face verification: whether two photos show one person, measured on pairs of held-out people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.data.crops import Crops
from reliableswap.errors import ReliableSwapError


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of photos as in Labeled Faces in the Wild. Half of them show one person, so chance is one half.

    rows (M,): the crops. left (P,), right (P,): positions in rows. same (P,): whether both show one person.
    """

    rows: np.ndarray
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray

    def accuracy(self, vectors: np.ndarray) -> float:
        """(M,D) vectors of length 1 -> the verification accuracy."""
        return verification((vectors[self.left] * vectors[self.right]).sum(1), self.same)


def draw_pairs(crops: Crops, rows: np.ndarray, count: int, each: int = 10) -> Pairs:
    """Draw at most `count` pairs among people with two photos or more; of one person alone at most `each`."""
    rng = np.random.default_rng(0)
    people = list(crops.people(rows).values())
    if len(people) < 2:
        raise ReliableSwapError(
            f"{len(people)} of the held-out people have two or more photos, but verification needs two such people; "
            "add photos of more people, one sub-folder each"
        )
    same: list[tuple[int, int]] = []
    for own in people:
        first, second = np.triu_indices(len(own), 1)
        for k in rng.permutation(len(first))[:each]:
            same.append((own[first[k]], own[second[k]]))
    same = [same[k] for k in rng.permutation(len(same))[: max(1, count // 2)]]
    other: set[tuple[int, int]] = set()
    for _ in range(10 * len(same)):  # among few people there may be too few different pairs
        a, b = (people[k] for k in rng.choice(len(people), 2, replace=False))
        if len(other) < len(same):
            other.add((int(rng.choice(a)), int(rng.choice(b))))
    # Alternate, so that every fold has as many of one kind as of the other.
    shown = [pair for both in zip(same, sorted(other), strict=False) for pair in both]
    used, where = np.unique(np.array(shown), return_inverse=True)
    left, right = where.reshape(-1, 2).T
    return Pairs(used, left, right, np.arange(len(shown)) % 2 == 0)


def verification(similarity: np.ndarray, same: np.ndarray, folds: int = 10) -> float:
    """(P,) similarities, (P,) same -> accuracy, each fold with the threshold that is best on the others."""
    fold = np.arange(len(same)) // 2 % max(2, min(folds, len(same) // 2))
    right = 0
    for k in range(int(fold.max()) + 1):
        threshold = best_threshold(similarity[fold != k], same[fold != k])
        right += int(((similarity[fold == k] > threshold) == same[fold == k]).sum())
    return right / len(same)


def best_threshold(similarity: np.ndarray, same: np.ndarray) -> float:
    """Return the threshold with the most correct pairs, midway between two neighbouring similarities."""
    if not len(same):
        return 0.0
    order = np.argsort(similarity, kind="stable")
    ordered, truth = similarity[order], same[order]
    # Correct with the threshold before position k: rejected below it, accepted from it on.
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum() - np.concatenate([[0], np.cumsum(truth)])
    edges = np.concatenate([[ordered[0] - 1], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] + 1]])
    return float(edges[int(np.argmax(right))])
