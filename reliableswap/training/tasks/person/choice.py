"""Choose which of a person's frames to keep, and weight them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reliableswap.geometry.measures import expressive_points, frontal, pose_of

from .sightings import Sighting

# Degrees of pose, and grey levels of light, that count as much as a typical change of expression.
_TURN, _SLOPE = 12.0, 12.0
_MAX_COVERED = 0.4  # frames with a larger share of the face covered are left out, unless all have
_BLURRED_SHARE = 0.2  # share of the frames, the least sharp, that is left out if enough remain
_NEIGHBOURS = 10
_MAX_RARITY = 3.0  # limits a frame's rarity, relative to the median, to 1/3 to 3


def expressions(sightings: Sequence[Sighting]) -> np.ndarray:
    """(N,K) lips, lids and brows from the front, minus the person's mean, scaled to an RMS length of 1."""
    points = np.stack([frontal(one.mesh)[expressive_points(), :2].ravel() for one in sightings])
    centred = points - points.mean(0)
    return np.asarray(centred / max(float(np.sqrt((centred**2).sum(1).mean())), 1e-6))


def features(sightings: Sequence[Sighting]) -> np.ndarray:
    """(N,K) expression, pose and light, whose distances tell how different two frames are."""
    poses = np.array([pose_of(one.mesh) for one in sightings]) / _TURN
    light = np.array([one.light for one in sightings]) / _SLOPE
    return np.concatenate([expressions(sightings), poses, light], 1)


def choose(sightings: Sequence[Sighting], count: int) -> list[int]:
    """Return the positions of up to `count` sightings, ascending: sharp ones, as different as possible."""
    positions = np.arange(len(sightings))
    open_faces = np.array([one.covered <= _MAX_COVERED for one in sightings])
    if open_faces.any():
        positions = positions[open_faces]
    sharp = np.array([sightings[int(i)].sharpness for i in positions])
    enough = max(min(count, len(positions)), round(len(positions) * (1 - _BLURRED_SHARE)))
    positions = np.sort(positions[np.argsort(-sharp, kind="stable")[:enough]])
    if len(positions) <= count:
        return positions.tolist()
    return sorted(positions[farthest(features([sightings[int(i)] for i in positions]), count)].tolist())


def farthest(places: np.ndarray, count: int) -> np.ndarray:
    """(N,K) -> (count,) rows by farthest-point sampling, starting from the row nearest the mean."""
    first = int(((places - places.mean(0)) ** 2).sum(1).argmin())
    chosen, distance = [first], ((places - places[first]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen)


def weights_of(sightings: Sequence[Sighting], exponent: float) -> np.ndarray:
    """(N,) float32 with mean 1: more for a frame whose expression is far from the others'."""
    if exponent == 0 or len(sightings) < 3:
        return np.ones(len(sightings), np.float32)
    places = expressions(sightings)
    near = min(_NEIGHBOURS, len(places) - 1)
    squares = (places**2).sum(1)
    mean = np.empty(len(places))
    for start in range(0, len(places), 512):
        part = places[start : start + 512]
        apart = np.maximum(squares[start : start + 512, None] + squares - 2 * part @ places.T, 0)
        mean[start : start + 512] = np.sqrt(np.sort(apart, 1)[:, 1 : near + 1]).mean(1)
    rarity = mean / max(float(np.median(mean)), 1e-9)
    weight = np.clip(rarity, 1 / _MAX_RARITY, _MAX_RARITY) ** exponent
    return np.asarray(weight / weight.mean(), np.float32)
