"""Group the tracklets of a clip into people, by identity, time and place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from reliableswap.faces.detect import overlaps

from .settings import TrackSettings
from .smooth import wobble
from .tracklet import Tracklet, box_of

_CONTINUED = 0.2  # added to the cosine of two tracklets if one begins where the other ended
_WOBBLE = 200.0  # log odds against a face, per eye distance of wobble
# How far below `same` a tracklet without an identity vector is set: it joins only tracklets that it continues.
_UNKNOWN = 0.2


def cluster(tracklets: Sequence[Tracklet], settings: TrackSettings) -> list[list[Tracklet]]:
    """Group the tracklets by person: agglomerative clustering by the mean cosine of two groups.

    Two tracklets that share a frame are never one person. A tracklet that begins where another has just ended may be
    less similar.
    """
    groups = [[one] for one in tracklets]
    count = len(groups)
    if count < 2:
        return groups
    alike = _similarities(tracklets, settings)
    weight = np.array([max(1, len(one.frames)) for one in tracklets], float)
    alive = np.ones(count, bool)
    best = alike.argmax(1)  # of each row; a row is searched again only if its best is gone
    rows = np.arange(count)
    while True:
        i = int(alike[rows, best].argmax())
        j = int(best[i])
        if alike[i, j] < settings.same:
            return [group for group, there in zip(groups, alive, strict=True) if there]
        groups[i] = groups[i] + groups[j]
        with np.errstate(invalid="ignore"):
            mean = (weight[i] * alike[i] + weight[j] * alike[j]) / (weight[i] + weight[j])
        mean[i] = -np.inf
        mean[~alive] = -np.inf
        weight[i] += weight[j]
        alike[i], alike[:, i] = mean, mean
        alike[j], alike[:, j] = -np.inf, -np.inf
        alive[j] = False
        groups[j] = []
        gone = (best == i) | (best == j)
        gone[[i, j]] = True
        best[gone] = alike[gone].argmax(1)
        nearer = ~gone & (alike[:, i] > alike[rows, best])
        best[nearer] = i


def _similarities(tracklets: Sequence[Tracklet], settings: TrackSettings) -> np.ndarray:
    """(N,N) the similarity of two tracklets, on the scale of the cosine; minus infinity if surely two people."""
    count = len(tracklets)
    frames, vectors = [set(one.frames) for one in tracklets], [one.vector for one in tracklets]
    shots: dict[int, list[int]] = {}
    for number, one in enumerate(tracklets):
        shots.setdefault(one.shot, []).append(number)
    alike = np.full((count, count), settings.same - _UNKNOWN)
    known = {number: vector for number, vector in enumerate(vectors) if vector is not None}
    if known:
        seen, numbers = np.stack([*known.values()]).astype(np.float64), [*known]
        alike[np.ix_(numbers, numbers)] = seen @ seen.T
    for together in shots.values():  # only tracklets of one shot share frames or continue each other
        for i, j in combinations(together, 2):
            if not frames[i].isdisjoint(frames[j]):
                alike[i, j] = alike[j, i] = -np.inf
            elif continues(tracklets[i], tracklets[j], settings):
                both_known = i in known and j in known
                alike[i, j] = alike[j, i] = alike[i, j] + _CONTINUED if both_known else settings.same
    np.fill_diagonal(alike, -np.inf)
    return alike


def continues(one: Tracklet, other: Tracklet, settings: TrackSettings) -> bool:
    """Whether one of two tracklets begins where the other has just ended, in the same shot."""
    first, second = sorted((one, other), key=lambda tracklet: tracklet.frames[0])
    gap = second.frames[0] - first.frames[-1]
    if one.shot != other.shot or not 0 < gap <= settings.frames(settings.lost):
        return False
    ended, begun = box_of(first.meshes[len(first.meshes) - 1]), box_of(second.meshes[0])
    return float(overlaps(ended, begun[None])[0]) > 0.3


def is_false_positive(group: Sequence[Tracklet], settings: TrackSettings) -> bool:
    """Whether a person's tracklets show no face.

    The mesh network sees a face wherever it is told to look, so a pattern that was once taken for a face would be
    followed for long. But searches of the frame miss it or score it low, its presence is low, and its mesh wobbles.
    """
    searched = [score for one in group for score in one.searched]
    presence = float(np.median(np.concatenate([one.presence for one in group])))
    wobbles = [wobble(one.meshes.stacked()) for one in group]
    wobbling = float(np.average(wobbles, weights=[len(one.frames) for one in group]))
    found = float(np.mean(searched)) if searched else presence
    evidence = _log_odds(presence) + _log_odds(found) - _WOBBLE * wobbling
    return presence < settings.enter or evidence < settings.evidence


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 0.01), 0.99)
    return float(np.log(inside / (1 - inside)))
