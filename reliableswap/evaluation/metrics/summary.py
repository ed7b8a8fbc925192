"""Figures over all pairs: identity variance of clips, means with intervals, Fréchet distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from reliableswap.evaluation.protocols.shots import Shot
from reliableswap.evaluation.results import ExaminedFace, FrechetDifference, MethodResult, PairResult

from . import frechet
from .definitions import METRICS
from .intervals import bootstrap


def add_identity_variance(results: Sequence[PairResult]) -> None:
    """Add each frame's squared distance from its clip's mean identity vector; their mean is the clip's variance."""
    clips: dict[str, list[tuple[PairResult, np.ndarray]]] = {}
    for one in results:
        if one.pair.clip is not None and one.face is not None:
            clips.setdefault(one.pair.clip, []).append((one, one.face.vector))
    for frames in clips.values():
        if len(frames) < 2:
            continue
        vectors = np.stack([vector for _, vector in frames])
        for (one, _), offset in zip(frames, vectors - vectors.mean(0), strict=True):
            one.metrics["identity_variance"] = float(offset @ offset)


def summarise(result: MethodResult, seed: int) -> None:
    """Estimate every metric of a method; frames of one clip are drawn together."""
    pairs = [one.pair for one in result.pairs]
    groups = [pair.clip or pair.name for pair in pairs]
    is_video = any(pair.clip is not None for pair in pairs)
    people = [[pair.source.person for pair in pairs], [pair.target.person for pair in pairs]]
    for metric in METRICS:
        estimate = bootstrap(
            [one.metrics.get(metric.key, math.nan) for one in result.pairs],
            seed,
            median=metric.median,
            groups=groups,
            share=metric.share,
            crossed=() if is_video else people,
            few_groups=is_video,
        )
        if estimate is not None:
            result.estimates[metric.key] = estimate


def add_frechet_distances(
    result: MethodResult, faces: dict[Shot, ExaminedFace], others: Sequence[np.ndarray]
) -> None:
    """Add a method's Fréchet distances to four sets of real photos; others: features of photos that no pair uses.

    A result shares pose, light and background with its target, so the unchanged target is nearest to the targets, and
    the source photo nearest to the sources. A method that pastes parts of both is near to all photos of the pairs. A
    comparison with photos that no result was made from favours no copy.
    """
    done = [one for one in result.pairs if one.face is not None]
    made = [one.face.features for one in done if one.face is not None]
    result.frechet_others = _distance(made, others)
    result.frechet_photos = _distance(made, _features(list(faces), faces))
    result.frechet = _distance(made, _features([one.pair.target for one in done], faces))
    result.frechet_sources = _distance(made, _features([one.pair.source for one in done], faces))


def frechet_differences(
    results: Sequence[MethodResult],
    faces: dict[Shot, ExaminedFace],
    others: Sequence[np.ndarray],
    seed: int,
    halves: int = 50,
) -> list[FrechetDifference]:
    """Compare any two methods that are not controls, over the pairs that both have a result for."""
    real = {"frechet_others": list(others), "frechet_photos": _features(list(faces), faces)}
    found = []
    for one, other in combinations([result for result in results if not result.control], 2):
        both = [
            (a.face.features, b.face.features, a.pair.clip or a.pair.name)
            for a, b in zip(one.pairs, other.pairs, strict=True)
            if a.face is not None and b.face is not None
        ]
        known = [(x, y, group) for x, y, group in both if x is not None and y is not None]
        if len({group for *_, group in known}) // 2 < frechet.MIN_PICTURES:
            continue
        first, second, groups = zip(*known, strict=True)
        for to, photos in real.items():
            if len(photos) >= frechet.MIN_PICTURES:
                estimate = frechet.frechet_difference(
                    np.stack(first), np.stack(second), np.stack(photos), groups, seed, halves
                )
                found.append(FrechetDifference(one.name, other.name, to, estimate))
    return found


def _features(shots: Sequence[Shot], faces: dict[Shot, ExaminedFace]) -> list[np.ndarray]:
    """The features of the shots' faces; empty if there are too few different photos."""
    if len(set(shots)) < frechet.MIN_PICTURES:
        return []
    return [features for shot in shots if (features := faces[shot].features) is not None]


def _distance(made: Sequence[np.ndarray | None], real: Sequence[np.ndarray]) -> float | None:
    """The Fréchet distance, or None if there are too few pictures."""
    ones = [features for features in made if features is not None]
    return frechet.frechet_distance(ones, real) if min(len(ones), len(real)) >= frechet.MIN_PICTURES else None
