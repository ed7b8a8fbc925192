"""The contents that the report's formats share: sentences, warnings, the table and the failures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from reliableswap.evaluation.metrics.best import MIN_PAIRS
from reliableswap.evaluation.metrics.definitions import METRICS, Metric
from reliableswap.evaluation.metrics.features import distance_name
from reliableswap.evaluation.metrics.frechet import MIN_PICTURES
from reliableswap.evaluation.results import Evaluation, MethodResult

from .info import RunInfo


@dataclass(frozen=True)
class Cell:
    """A value, its interval if that has any width when rounded, and whether it is the best of its row."""

    value: str
    interval: tuple[str, str] | None = None
    best: bool = False


@dataclass(frozen=True)
class TableRow:
    """A metric or a distance, with one cell per method.

    key: its name in report.json and pairs.csv; label: the title without unit and arrow.
    """

    key: str
    title: str
    label: str
    meaning: str
    cells: list[Cell]


@dataclass(frozen=True)
class Distance:
    """A Fréchet distance to one kind of real photos: its attribute in MethodResult, title and meaning."""

    key: str
    title: str
    meaning: str

    def value(self, method: MethodResult) -> float | None:
        found: float | None = getattr(method, self.key)
        return found


def table(evaluation: Evaluation, info: RunInfo) -> list[TableRow]:
    """One row per metric that some method has, then the Fréchet distances."""
    rows = [
        TableRow(metric.key, metric.title, metric.label, metric.meaning, _cells(metric, evaluation))
        for metric in shown_metrics(evaluation)
    ]
    for distance in distances(evaluation, info):
        values = [distance.value(method) for method in evaluation.methods]
        cells = [Cell("–" if value is None else f"{value:.3f}") for value in values]
        title = f"{distance.title} ↓"
        rows.append(TableRow(distance.key, title, distance.title, distance.meaning, cells))
    return rows


def shown_metrics(evaluation: Evaluation) -> list[Metric]:
    """The metrics that some method has."""
    return [m for m in METRICS if any(m.key in method.estimates for method in evaluation.methods)]


def distances(evaluation: Evaluation, info: RunInfo) -> list[Distance]:
    """The Fréchet distances that some method has."""
    if info.features is None:
        return []
    name = distance_name(info.features)
    found = [
        Distance(
            "frechet_others",
            f"{name} to other photos",
            f"results against {evaluation.others} real photos that no result was made from; it grows as pictures get "
            "fewer, so compare sets of equal size; the values of the controls are those of real photos",
        ),
        Distance(
            "frechet_photos",
            f"{name} to the pairs' photos",
            "results against all photos of the pairs; results that paste parts of these are nearest",
        ),
        Distance(
            "frechet",
            f"{name} to the targets",
            "results against the targets only; a copy of the target is nearest",
        ),
        Distance(
            "frechet_sources",
            f"{name} to the sources",
            "results against the source photos only; a copy of the source is nearest; the value of the unchanged "
            "target is that of real photos of other people in other places",
        ),
    ]
    return [one for one in found if any(one.value(method) is not None for method in evaluation.methods)]


def _cells(metric: Metric, evaluation: Evaluation) -> list[Cell]:
    cells = []
    for method in evaluation.methods:
        estimate = method.estimates.get(metric.key)
        if estimate is None:
            cells.append(Cell("–"))
            continue
        low, high = metric.show(estimate.low), metric.show(estimate.high)
        interval = (low, high) if estimate.has_interval and low != high else None
        best = evaluation.best.get(metric.key) == method.name
        cells.append(Cell(metric.show(estimate.value), interval, best))
    return cells


def warnings(evaluation: Evaluation, info: RunInfo) -> list[str]:
    """What a reader must not overlook."""
    found = [
        f"Same judge: {what}. Its identity figures are biased in favour of that pipeline and can't be compared."
        for what in info.shared
    ]
    if info.trained:
        found.append(
            f"Everybody was measured, including people that {', '.join(info.trained)} may have been trained on."
        )
    if evaluation.left_out:
        count = len(evaluation.left_out)
        found.append(
            f"{count} pairs were left out for all methods: no face was found in their source or target."
        )
    for method in evaluation.methods:
        reasons = [one.failure for one in method.pairs if one.refused]
        if reasons:
            found.append(
                f"A safety gate refused {len(reasons)} of {len(method.pairs)} pairs of {method.name}, so its figures "
                f"cover only the others. The first refusal: {reasons[0].split(';')[0]}."
            )
    return found


def summary(evaluation: Evaluation, info: RunInfo) -> list[str]:
    """The sentences above the table."""
    clips = {pair.clip for pair in evaluation.pairs if pair.clip}
    people = {shot.person for pair in evaluation.pairs for shot in (pair.source, pair.target)}
    pairs = f"{len(evaluation.pairs)} pairs"
    what = f"{len(clips)} videos, {len(evaluation.pairs)} frames" if clips else pairs
    whom = f", all from the {info.held_out:g} % that training left out" if info.held_out is not None else ""
    cosines = ", ".join(f"{name} {value:.3f}" for name, value in evaluation.calibration.items())
    lines = [
        f"Protocol {info.protocol} on {info.faces}: {what} of {len(people)} people{whom}, seed {info.seed}.",
        f"Judge of identity: {info.judge}; on real photos: {cosines}.",
        f"Lower face: {info.lower_judge or 'not judged (no --lower-judge)'}. Mesh: {info.analyser}; pipelines that "
        "use this mesh, or were trained on its output, have an advantage in pose, expression and shape.",
    ]
    if info.features:
        lines.append(
            f"Fréchet distance: {info.features}; a generator whose losses used these features has an advantage "
            "(our losses use efficientnet-lite0)."
            if distances(evaluation, info)
            else f"Fréchet distance: not computed; it needs at least {MIN_PICTURES} results and as many real photos."
        )
    lines += _differences(evaluation, info)
    if evaluation.real_photos:
        lines.append(
            f"Told from photos: against {evaluation.real_photos} photos of {evaluation.real_people} people. 0.5 is "
            "chance; the unchanged target shows the spread due to chance, and the recompressed target the cost "
            "of processing alone. Figures grow with the number of pairs, so compare them within one report."
        )
    lines.append(
        "A value is marked as the best where the 95 % interval of its lead over every other method excludes zero."
    )
    lines.append(
        "Brackets are 95 % bootstrap intervals; the frames of a video are resampled together, and intervals are "
        "widened for pairs that share a person."
    )
    if clips and len(clips) < MIN_PAIRS:
        none = (
            "One video gives no intervals, so no"
            if len(clips) == 1
            else f"{len(clips)} videos are too few, so no"
        )
        lines.append(f"{none} value is marked as the best: that takes {MIN_PAIRS} videos.")
    return lines


def _differences(evaluation: Evaluation, info: RunInfo) -> list[str]:
    return [
        f"{distance.title}, {one.one} minus {one.other}: {one.estimate.value:+.1f} "
        f"[{one.estimate.low:+.1f}, {one.estimate.high:+.1f}]."
        for distance in distances(evaluation, info)
        for one in evaluation.frechet_differences
        if one.to == distance.key
    ]


def failures(method: MethodResult) -> list[tuple[str, int]]:
    """Why results are missing and how often, the five most frequent reasons first."""
    return Counter(one.failure for one in method.pairs if one.failure and not one.refused).most_common(5)


def refusals(method: MethodResult) -> list[tuple[str, int]]:
    """Why the safety gates refused pairs and how often, the five most frequent reasons first."""
    return Counter(one.failure for one in method.pairs if one.refused).most_common(5)
