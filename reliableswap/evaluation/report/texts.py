"""The report's texts: Markdown, JSON, a CSV of all pairs, and the block for a model card."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reliableswap.evaluation.metrics.frechet import label_of
from reliableswap.evaluation.protocols.shots import Shot
from reliableswap.evaluation.results import Evaluation, MethodResult

from .figures import FIGURES, Figure


@dataclass(frozen=True)
class Facts:
    """What has to be known to read the figures, and to get them again."""

    protocol: str
    faces: str
    seed: int
    judge: str
    lower_judge: str | None = None
    features: str | None = None
    analyser: str = ""
    version: str = ""
    command: str = ""
    shared: list[str] = field(default_factory=list)  # judges that are also a pipeline's own network
    seconds: float = 0.0


def shown_figures(evaluation: Evaluation) -> list[Figure]:
    """The figures that some method has."""
    return [f for f in FIGURES if any(f.key in method.estimates for method in evaluation.methods)]


def frechet_name(facts: Facts) -> str | None:
    return label_of(facts.features) if facts.features else None


@dataclass(frozen=True)
class FrechetRow:
    """A Fréchet distance to one kind of real photos: its name in MethodResult, and in reports."""

    key: str
    title: str
    meaning: str

    def of(self, method: MethodResult) -> float | None:
        value: float | None = getattr(method, self.key)
        return value

    def show(self, method: MethodResult) -> str:
        value = self.of(method)
        return "–" if value is None else f"{value:.3f}"


def frechet_rows(evaluation: Evaluation, facts: Facts) -> list[FrechetRow]:
    """Those that some method has."""
    name = frechet_name(facts)
    rows = [
        FrechetRow(
            "frechet_others",
            f"{name} to other photos",
            f"results against {evaluation.others} real photos that none was made of; it grows as pictures get fewer, "
            "so compare equal sets; the controls' values are those of real photos",
        ),
        FrechetRow(
            "frechet_photos",
            f"{name} to the pairs' photos",
            "against all photos of the pairs, to which results pasted together of them are nearest",
        ),
        FrechetRow(
            "frechet",
            f"{name} to the targets",
            "against the targets alone, to which a copy of the target is nearest",
        ),
        FrechetRow(
            "frechet_sources",
            f"{name} to the sources",
            "against the sources' photos alone, to which a copy of the source is nearest; the unchanged target's "
            "value says how far real photos of other people in other places are apart",
        ),
    ]
    return [row for row in rows if name and any(row.of(m) is not None for m in evaluation.methods)]


def best_method(figure: Figure, methods: Sequence[MethodResult]) -> str | None:
    """The best of the methods that are no controls, if there are two to choose from."""
    known = [m for m in methods if not m.control and figure.key in m.estimates]
    if len(known) < 2:
        return None
    choose = max if figure.better == "up" else min
    return choose(known, key=lambda m: m.estimates[figure.key].value).name


def cell(figure: Figure, method: MethodResult, interval: bool = True) -> str:
    estimate = method.estimates.get(figure.key)
    if estimate is None:
        return "–"
    value = figure.show(estimate.value)
    if not interval or figure.show(estimate.low) == figure.show(estimate.high):
        return value
    return f"{value} [{figure.show(estimate.low)}, {figure.show(estimate.high)}]"


def warnings(evaluation: Evaluation, facts: Facts) -> list[str]:
    """What a reader must not overlook."""
    found = [
        f"Same judge: {what}. Its identity figures flatter that pipeline and can't be compared."
        for what in facts.shared
    ]
    if evaluation.left_out:
        count = len(evaluation.left_out)
        found.append(f"{count} pairs were left out for all methods: no face was found in their own photos.")
    return found


def summary(evaluation: Evaluation, facts: Facts) -> list[str]:
    """The sentences above the table."""
    clips = {pair.clip for pair in evaluation.pairs if pair.clip}
    people = {shot.person for pair in evaluation.pairs for shot in (pair.source, pair.target)}
    what = (
        f"{len(clips)} videos, {len(evaluation.pairs)} frames" if clips else f"{len(evaluation.pairs)} pairs"
    )
    lines = [
        f"Protocol {facts.protocol} on {facts.faces}: {what} of {len(people)} people, seed {facts.seed}.",
        f"Judge of identity: {facts.judge}; it says "
        + ", ".join(f"{name} {value:.3f}" for name, value in evaluation.calibration.items())
        + ".",
        f"Lower face: {facts.lower_judge or 'not judged (no --lower-judge)'}. Mesh: {facts.analyser}; pipelines "
        "that place faces by the same mesh, or learnt from it, have an advantage in pose, expression and shape.",
        *(
            [
                f"Fréchet distance: {facts.features}; a generator whose losses saw these features has an advantage "
                "(ours look at efficientnet-lite0)."
            ]
            if facts.features
            else []
        ),
        *(
            f"{row.title}, {one.one} less {one.other}: {one.estimate.value:+.1f} "
            f"[{one.estimate.low:+.1f}, {one.estimate.high:+.1f}]."
            for row in frechet_rows(evaluation, facts)
            for one in evaluation.frechet_differences
            if one.to == row.key
        ),
        "Brackets hold 95 % bootstrap intervals; videos are drawn whole, and pairs that share a person count for less.",
    ]
    return lines


def markdown(evaluation: Evaluation, facts: Facts) -> str:
    """The table, methods across, figures down: it fits a page however many figures there are."""
    methods = evaluation.methods
    lines = ["# Evaluation", ""]
    lines += [f"**{text}**\n" for text in warnings(evaluation, facts)]
    lines += [*summary(evaluation, facts), ""]
    names = [f"{m.name} (control)" if m.control else m.name for m in methods]
    lines += ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(methods)]
    for figure in shown_figures(evaluation):
        best = best_method(figure, methods)
        cells = [f"**{cell(figure, m)}**" if m.name == best else cell(figure, m) for m in methods]
        lines.append(f"| {figure.title} | " + " | ".join(cells) + " |")
    distances = frechet_rows(evaluation, facts)
    lines += [f"| {row.title} ↓ | " + " | ".join(map(row.show, methods)) + " |" for row in distances]
    lines += ["", "## Figures", ""]
    lines += [f"- {figure.label}: {figure.meaning}." for figure in shown_figures(evaluation)]
    lines += [f"- {row.title}: {row.meaning}." for row in distances]
    failures = {m.name: reasons(m) for m in methods if reasons(m)}
    if failures:
        lines += ["", "## Failures", ""]
        for name, counted in failures.items():
            lines += [f"- {name}: {count} × {reason}" for reason, count in counted]
    lines += ["", f"ReliableSwap {facts.version}, {facts.seconds:.0f} s: `{facts.command}`", ""]
    return "\n".join(lines)


def reasons(method: MethodResult) -> list[tuple[str, int]]:
    """Why results are missing, the commonest first."""
    return Counter(row.failure for row in method.rows if row.failure).most_common(5)


def as_json(evaluation: Evaluation, facts: Facts) -> str:
    """For machines: facts, estimates and the share of each method."""
    methods = {
        method.name: {
            "control": method.control,
            "figures": {key: asdict(estimate) for key, estimate in method.estimates.items()},
            "frechet_others": method.frechet_others,
            "frechet_photos": method.frechet_photos,
            "frechet": method.frechet,
            "frechet_sources": method.frechet_sources,
            "failures": dict(reasons(method)),
        }
        for method in evaluation.methods
    }
    document: dict[str, Any] = {
        "facts": asdict(facts),
        "pairs": len(evaluation.pairs),
        "left_out": evaluation.left_out,
        "calibration": evaluation.calibration,
        "figures": {f.key: {"label": f.label, "better": f.better, "unit": f.unit} for f in FIGURES},
        "frechet": frechet_name(facts),
        "other_photos": evaluation.others,
        "frechet_differences": [asdict(one) for one in evaluation.frechet_differences],
        "methods": methods,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(evaluation: Evaluation) -> str:
    """One line a pair and method, every figure unrounded; empty where it was not measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keys = [figure.key for figure in shown_figures(evaluation)]
    writer.writerow(["method", "pair", "source_person", "target_person", *keys, "failure"])
    for method in evaluation.methods:
        for row in method.rows:
            values = [row.figures.get(key, math.nan) for key in keys]
            shown = ["" if math.isnan(value) else repr(value) for value in values]
            people = [_person(row.pair.source), _person(row.pair.target)]
            writer.writerow([method.name, row.pair.name, *people, *shown, row.failure])
    return stream.getvalue()


def _person(shot: Shot) -> str:
    """A person who is only known by a photo's path is called by its file's name."""
    return Path(shot.person).name if shot.person == str(shot.path) else shot.person


def model_index(evaluation: Evaluation, facts: Facts, model: str = "reliableswap") -> str:
    """The `model-index` block for a model card's front matter, YAML; JSON's strings are YAML's too."""
    quote = json.dumps
    lines = ["model-index:", f"- name: {quote(model)}", "  results:"]
    for method in evaluation.methods:
        if method.control:
            continue
        lines += [
            "  - task:",
            "      type: image-to-image",
            f"      name: {quote('Face swapping, ' + method.name)}",
            "    dataset:",
            f"      type: {quote(facts.protocol)}",
            f"      name: {quote(facts.faces)}",
            "    metrics:",
        ]
        for figure in shown_figures(evaluation):
            estimate = method.estimates.get(figure.key)
            if estimate is not None:
                unit = f" ({figure.unit})" if figure.unit else ""
                lines += [
                    f"    - type: {figure.key}",
                    f"      name: {quote(figure.label + unit, ensure_ascii=False)}",
                    f"      value: {figure.show(estimate.value)}",
                ]
        for row in frechet_rows(evaluation, facts):
            value = row.of(method)
            if value is not None:
                lines += [
                    f"    - type: {row.key}",
                    f"      name: {quote(row.title, ensure_ascii=False)}",
                    f"      value: {value:.4f}",
                ]
    return "\n".join(lines) + "\n"
