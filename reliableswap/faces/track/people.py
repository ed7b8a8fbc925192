"""Who is who: tracklets of a clip become people, by identity, time and place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reliableswap.faces.detect import overlaps

from .settings import TrackSettings
from .smooth import wobble
from .tracklet import Tracklet, box_of

_CONTINUED = 0.2  # how much less alike two tracklets may be if one goes on where the other ended
_WOBBLE = 200.0  # log odds for a wobble of one eye distance
_UNKNOWN = 0.2  # a face too poor for the identity network; it joins only what it continues


def cluster(tracklets: Sequence[Tracklet], settings: TrackSettings) -> list[list[Tracklet]]:
    """Group the tracklets of one person each: agglomerative, by the mean cosine of two groups.

    Two tracklets that share a frame are never one person. A tracklet that begins where another has just ended needs
    less likeness.
    """
    groups = [[one] for one in tracklets]
    count = len(groups)
    if count < 2:
        return groups
    alike = np.full((count, count), -np.inf)
    for i in range(count):
        for j in range(i):
            alike[i, j] = alike[j, i] = _likeness(tracklets[i], tracklets[j], settings)
    weight = np.array([max(1, len(one.frames)) for one in tracklets], float)
    alive = np.ones(count, bool)
    while True:
        i, j = divmod(int(alike.argmax()), count)
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


def _likeness(one: Tracklet, other: Tracklet, settings: TrackSettings) -> float:
    """How surely two tracklets are one person, on the scale of the cosine; minus infinity: surely not."""
    if not set(one.frames).isdisjoint(other.frames):
        return -np.inf
    a, b = one.vector, other.vector
    continued = continues(one, other, settings)
    if a is None or b is None:
        return settings.same if continued else settings.same - _UNKNOWN
    return float(a @ b) + (_CONTINUED if continued else 0.0)


def continues(one: Tracklet, other: Tracklet, settings: TrackSettings) -> bool:
    """Whether one of two tracklets begins, in the same shot, where the other has just ended."""
    first, second = sorted((one, other), key=lambda tracklet: tracklet.frames[0])
    gap = second.frames[0] - first.frames[-1]
    if one.shot != other.shot or not 0 < gap <= settings.frames(settings.lost):
        return False
    ended, begun = box_of(first.meshes[len(first.meshes) - 1]), box_of(second.meshes[0])
    return float(overlaps(ended, begun[None])[0]) > 0.3


def is_false(group: Sequence[Tracklet], settings: TrackSettings) -> bool:
    """Whether these tracklets of somebody are no face.

    The mesh network sees faces wherever it is told to look, so a pattern that once passed for a face would be followed
    for long. But then searches of the frame miss it or are unsure, the mesh network doubts it, and its mesh wobbles.
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
