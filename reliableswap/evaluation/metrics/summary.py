"""What only shows over many pairs: retrieval, steadiness of a clip, means, distances between sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from reliableswap.evaluation.protocols.shots import Shot
from reliableswap.evaluation.report.figures import FIGURES
from reliableswap.evaluation.results import FrechetDifference, MethodResult, Row, Subject

from .frechet import LEAST, frechet_difference, frechet_distance
from .statistics import bootstrap, ranks


def retrieve(rows: Sequence[Row], subjects: dict[Shot, Subject]) -> None:
    """Ranks in the gallery of all sources and targets; a failure finds nobody."""
    measured = [row for row in rows if row.subject is not None]
    shots = list(dict.fromkeys(s for row in rows for s in (row.pair.source, row.pair.target)))
    _rank(measured, rows, shots, subjects, ("top1", "top5"), lower=False)
    with_reference = [row for row in rows if row.pair.reference is not None]
    if with_reference:
        # The very photos that the methods were given are left out, so that copying one does not help.
        given = {row.pair.source for row in rows}
        others = [row.pair.reference for row in with_reference] + [row.pair.target for row in rows]
        shots = list(dict.fromkeys(s for s in others if s is not None and s not in given))
        shown = {shot.person for shot in shots}
        with_reference = [row for row in with_reference if row.pair.source.person in shown]
        found = [row for row in with_reference if row.subject is not None]
        _rank(found, with_reference, shots, subjects, ("reference_top1", ""), lower=False)
    if any(row.subject is not None and row.subject.lower is not None for row in rows):
        shots = list(dict.fromkeys(s for row in rows for s in (row.pair.source, row.pair.target)))
        _rank(measured, rows, shots, subjects, ("lower_top1", ""), lower=True)


def _rank(
    measured: Sequence[Row],
    rows: Sequence[Row],
    shots: Sequence[Shot],
    subjects: dict[Shot, Subject],
    keys: tuple[str, str],
    lower: bool,
) -> None:
    def vector(subject: Subject | None) -> np.ndarray:
        assert subject is not None
        chosen = subject.lower if lower else subject.vector
        assert chosen is not None
        return chosen

    for row in rows:
        row.figures |= dict.fromkeys([key for key in keys if key], 0.0)
    if not measured:
        return
    gallery = np.stack([vector(subjects[shot]) for shot in shots])
    queries = np.stack([vector(row.subject) for row in measured])
    found = ranks(queries, [row.pair.source.person for row in measured], gallery, [s.person for s in shots])
    for row, rank in zip(measured, found, strict=True):
        for key, limit in zip(keys, (1, 5), strict=True):
            if key:
                row.figures[key] = float(rank <= limit)


def steadiness(rows: Sequence[Row]) -> None:
    """Each frame's share of its clip's identity variance: the squared distance from the clip's mean vector."""
    clips: dict[str, list[Row]] = {}
    for row in rows:
        if row.pair.clip is not None and row.subject is not None:
            clips.setdefault(row.pair.clip, []).append(row)
    for members in clips.values():
        if len(members) < 2:
            continue
        vectors = np.stack([row.subject.vector for row in members if row.subject is not None])
        for row, off in zip(members, vectors - vectors.mean(0), strict=True):
            row.figures["identity_variance"] = float(off @ off)


def summarise(
    result: MethodResult, subjects: dict[Shot, Subject], others: Sequence[np.ndarray], seed: int
) -> None:
    """Means with intervals over the rows, and the Fréchet distances to real photos.

    A result has its target's pose, light and background, so an unchanged target is nearest to the targets, and a copy
    of the source's photo to the sources. Whatever is pasted together of both is near to all of the pairs' photos. To
    photos that no result was made of (others: their features) nothing copied has an advantage.
    """
    clips = [row.pair.clip or row.pair.name for row in result.rows]
    of_videos = any(row.pair.clip is not None for row in result.rows)
    people = [
        [row.pair.source.person for row in result.rows],
        [row.pair.target.person for row in result.rows],
    ]
    for figure in FIGURES:
        values = [row.figures.get(figure.key, math.nan) for row in result.rows]
        estimate = bootstrap(
            values,
            seed,
            median=figure.median,
            groups=clips,
            share=figure.share,
            crossed=() if of_videos else people,
        )
        if estimate is not None:
            result.estimates[figure.key] = estimate
    rows = [row for row in result.rows if row.subject is not None]
    made = [row.subject.features for row in rows if row.subject is not None]
    result.frechet_others = _distance(made, others)
    result.frechet_photos = _distance(made, _features(list(subjects), subjects))
    result.frechet = _distance(made, _features([row.pair.target for row in rows], subjects))
    result.frechet_sources = _distance(made, _features([row.pair.source for row in rows], subjects))


def frechet_differences(
    results: Sequence[MethodResult], subjects: dict[Shot, Subject], others: Sequence[np.ndarray], seed: int
) -> list[FrechetDifference]:
    """Between any two methods that are no controls, over the pairs that both have a result for."""
    real = {"frechet_others": list(others), "frechet_photos": _features(list(subjects), subjects)}
    found = []
    for one, other in combinations([result for result in results if not result.control], 2):
        both = [
            (a.subject.features, b.subject.features, a.pair.clip or a.pair.name)
            for a, b in zip(one.rows, other.rows, strict=True)
            if a.subject is not None and b.subject is not None
        ]
        known = [(x, y, group) for x, y, group in both if x is not None and y is not None]
        if len({group for *_, group in known}) // 2 < LEAST:
            continue
        ones, twos, groups = zip(*known, strict=True)
        for to, photos in real.items():
            if len(photos) >= LEAST:
                estimate = frechet_difference(np.stack(ones), np.stack(twos), np.stack(photos), groups, seed)
                found.append(FrechetDifference(one.name, other.name, to, estimate))
    return found


def _features(shots: Sequence[Shot], subjects: dict[Shot, Subject]) -> list[np.ndarray]:
    """Those of the shots' faces; none of too few photos, however often they come."""
    if len(set(shots)) < LEAST:
        return []
    return [features for shot in shots if (features := subjects[shot].features) is not None]


def _distance(made: Sequence[np.ndarray | None], real: Sequence[np.ndarray]) -> float | None:
    """The Fréchet distance, or None with too few pictures for one."""
    ones = [features for features in made if features is not None]
    return frechet_distance(ones, real) if min(len(ones), len(real)) >= LEAST else None
