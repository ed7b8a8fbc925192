"""Separate a face's shape into the person's part and the photo's, fitted to people with several photos.

With x = b + w, where b is the person and w the photo, both Gaussian with covariances B and W, the expected difference
of two people given the difference d of two photos is B (B + W)^-1 d. Its strongest modes are the eigenvectors of B
relative to B + W, computed in the space of the faces' principal components, where B + W can be inverted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.errors import ReliableSwapError
from tools.mean_face import aligned, reflected

_SPACE = 60  # principal components in which the covariances are compared
_KEPT = 0.98  # share of the photos; the rest are assumed to have wrong meshes
_PAIRS = 4000  # of each kind, at most


@dataclass(frozen=True, eq=False)
class PersonFilter:
    """analyse, synthesise (1404, modes): the person's part of a difference d is synthesise @ (analyse.T @ d)."""

    analyse: np.ndarray
    synthesise: np.ndarray
    shares: np.ndarray  # (modes,) the person's share of each mode's variance

    def __call__(self, differences: np.ndarray) -> np.ndarray:
        """(N,1404) differences -> the person's part of each."""
        return differences @ self.analyse @ self.synthesise.T


def deviations(meshes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N,468,3) the deviation of each aligned mesh from the mean face."""
    return aligned(meshes, mean) - mean


def person_filter(forms: np.ndarray, people: np.ndarray, mirror: np.ndarray, modes: int) -> PersonFilter:
    """Fit the filter to deviations (N,468,3) from the mean, of photos of the people (N,)."""
    if len(set(people.tolist())) == len(people):
        raise ReliableSwapError(
            f"no two photos of one person among {len(people)}; pass --faces with a sub-folder per person"
        )
    size = (forms**2).sum((1, 2))
    kept = size <= np.quantile(size, _KEPT)
    forms, people = forms[kept], people[kept]
    # A mirrored face is a plausible one; counted as another person it adds no false agreement.
    x = np.concatenate([forms, reflected(forms, mirror)]).reshape(2 * len(forms), -1)
    _, owner = np.unique(
        np.concatenate([np.char.add("a", people), np.char.add("b", people)]), return_inverse=True
    )
    counts = np.bincount(owner)
    x = x - x.mean(0)
    _, spread, axes = np.linalg.svd(x, full_matrices=False)
    axes, variance = axes[:_SPACE].T, spread[:_SPACE] ** 2 / len(x)
    known = variance > 1e-9 * variance[0]
    axes, variance = axes[:, known], variance[known]
    y = x @ axes
    means = np.zeros((len(counts), y.shape[1]))
    np.add.at(means, owner, y)
    within = y - (means / counts[:, None])[owner]
    several = counts[owner] > 1
    freedom = int(several.sum() - (counts > 1).sum())
    inside = within[several].T @ within[several] / freedom
    # Whitening makes B + W the identity.
    root = np.sqrt(variance)
    shares, turns = np.linalg.eigh(np.eye(len(root)) - inside / np.outer(root, root))
    strongest = np.argsort(-shares)[:modes]
    shares, turns = shares[strongest], turns[:, strongest]
    analyse = axes @ (turns / root[:, None])
    synthesise = axes @ (turns * root[:, None]) * shares
    sign = np.sign(analyse[np.abs(analyse).argmax(0), np.arange(analyse.shape[1])])
    # Balanced, so that both factors fit half precision.
    balance = sign * np.sqrt(np.linalg.norm(synthesise, axis=0) / np.linalg.norm(analyse, axis=0))
    return PersonFilter(analyse * balance, synthesise / balance, shares)


def separation(filter: PersonFilter, forms: np.ndarray, people: np.ndarray, seed: int) -> dict[str, float]:
    """How well the filter separates people whom it was not fitted to.

    `passed_same`, `passed_others`: the share of a difference's length that passes the filter, between two photos of
    one person and of two people. `area_raw`, `area_filtered`: area under the ROC curve for telling one person from two
    by the length of the difference, before and after the filter.
    """
    flat, rng = forms.reshape(len(forms), -1), np.random.default_rng(seed)
    a, b = np.triu_indices(len(people), 1)
    same = people[a] == people[b]
    if not same.any() or same.all():
        raise ReliableSwapError(
            f"the {len(people)} held-out photos show {len(set(people.tolist()))} people, but the check needs pairs of "
            "the same person and of different people; add photos"
        )
    lengths: dict[str, list[np.ndarray]] = {"raw": [], "filtered": []}
    for chosen in (np.flatnonzero(same), np.flatnonzero(~same)):
        chosen = rng.permutation(chosen)[:_PAIRS]
        difference = flat[a[chosen]] - flat[b[chosen]]
        lengths["raw"].append(np.linalg.norm(difference, axis=1))
        lengths["filtered"].append(np.linalg.norm(filter(difference), axis=1))
    (raw_same, raw_others), (own, others) = lengths["raw"], lengths["filtered"]
    return {
        "passed_same": float(np.sqrt((own**2).mean() / (raw_same**2).mean())),
        "passed_others": float(np.sqrt((others**2).mean() / (raw_others**2).mean())),
        "area_raw": area(raw_others, raw_same),
        "area_filtered": area(others, own),
    }


def area(larger: np.ndarray, smaller: np.ndarray) -> float:
    """How often one of `larger` exceeds one of `smaller`, ties counted half: the area under the ROC curve."""
    ordered = np.sort(smaller)
    below = np.searchsorted(ordered, larger, "left") + np.searchsorted(ordered, larger, "right")
    return float(below.mean() / (2 * len(smaller)))
