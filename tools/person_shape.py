"""What of a face's shape is the person and what is the photo, measured on people with several photos.

With x = b + w, b the person and w the photo, both Gaussian, the expected difference of two persons given the
difference d of two photos is B (B + W)^-1 d. Its strongest modes come from the eigenvectors of B relative to B + W,
worked out in the space of the faces' strongest variations, where B + W can be inverted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliableswap.errors import ReliableSwapError
from tools.mean_face import laid_on, reflected

_SPACE = 60  # principal variations that the covariances are compared in
_KEPT = 0.98  # of the photos: the rest are wrong meshes
_PAIRS = 4000


@dataclass(frozen=True, eq=False)
class PersonFilter:
    """analyse, synthesise (1404, modes): the person's part of a difference d is synthesise @ (analyse.T @ d)."""

    analyse: np.ndarray
    synthesise: np.ndarray
    shares: np.ndarray  # (modes,) of each mode's variance, what is the person's

    def __call__(self, differences: np.ndarray) -> np.ndarray:
        """(N,1404) the part of each difference that is the person."""
        return differences @ self.analyse @ self.synthesise.T


def departures(meshes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N,468,3) how each mesh departs from the mean face that it is laid on."""
    return laid_on(meshes, mean) - mean


def person_filter(forms: np.ndarray, people: np.ndarray, mirror: np.ndarray, modes: int) -> PersonFilter:
    """The filter of departures (N,468,3) from the mean, of the people (N,) they are of."""
    if len(set(people.tolist())) == len(people):
        raise ReliableSwapError(
            f"no two photos of one person among {len(people)}; pass --faces with a sub-folder a person"
        )
    size = (forms**2).sum((1, 2))
    kept = size <= np.quantile(size, _KEPT)
    forms, people = forms[kept], people[kept]
    # A reflection is a face that somebody might have; as somebody else it adds no false agreement.
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
    # B relative to B + W: white coordinates make B + W the identity.
    root = np.sqrt(variance)
    shares, turns = np.linalg.eigh(np.eye(len(root)) - inside / np.outer(root, root))
    strongest = np.argsort(-shares)[:modes]
    shares, turns = shares[strongest], turns[:, strongest]
    analyse = axes @ (turns / root[:, None])
    synthesise = axes @ (turns * root[:, None]) * shares
    sign = np.sign(analyse[np.abs(analyse).argmax(0), np.arange(analyse.shape[1])])
    # Balanced, so that both factors sit well inside half precision.
    balance = sign * np.sqrt(np.linalg.norm(synthesise, axis=0) / np.linalg.norm(analyse, axis=0))
    return PersonFilter(analyse * balance, synthesise / balance, shares)


def separation(filter: PersonFilter, forms: np.ndarray, people: np.ndarray, seed: int) -> dict[str, float]:
    """How well the filter tells people apart that it was not made from.

    `passed_same`, `passed_others`: the share of a difference's length that passes, between two photos of one person
    and of two. `area_raw`, `area_filtered`: how often two photos of one person differ less than two of different
    people (area under the ROC curve), before and after the filter.
    """
    flat, rng = forms.reshape(len(forms), -1), np.random.default_rng(seed)
    a, b = np.triu_indices(len(people), 1)
    same = people[a] == people[b]
    if not same.any() or same.all():
        raise ReliableSwapError(
            f"{len(people)} held-out photos are of {len(set(people.tolist()))} people, which makes no pairs of one "
            "person and of two to check the shape on; add photos"
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
