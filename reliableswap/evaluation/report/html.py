"""The report as one HTML page that requests nothing from the network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from reliableswap.evaluation.metrics.definitions import BY_KEY
from reliableswap.evaluation.protocols.shots import Pair
from reliableswap.evaluation.results import Evaluation, MethodResult, PairResult

from .info import RunInfo
from .plots import Dot, colours_of, scatter
from .tables import failures, refusals, summary, table, warnings
from .texts import render

_SHOWN = 3  # pairs of each kind in a method's gallery
_SIDE_BY_SIDE = 8  # pairs
_PLOTS = (
    ("cos_source", "pose"),
    ("cos_source", "expression"),
    ("cos_reference", "pose"),
    ("cos_reference", "expression"),
    ("truth_cos", "truth_psnr"),
)
_CAPTION = ("cos_source", "cos_target", "pose", "expression")  # metrics below a gallery's pictures


@dataclass(frozen=True)
class Image:
    """A JPEG as a data: URL; an empty address means that the method failed, for the reason in `text`."""

    address: str
    text: str = ""


@dataclass(frozen=True)
class Example:
    """Source, target and result of a pair, with a caption."""

    name: str
    images: list[Image]
    caption: str


def page(evaluation: Evaluation, info: RunInfo) -> str:
    """Return the whole page."""
    methods = evaluation.methods
    colours = colours_of([m.name for m in methods], [m.control for m in methods])
    compared = [m for m in methods if not m.control]
    return render(
        "report.html.j2",
        info=info,
        methods=methods,
        colours=colours,
        warnings=warnings(evaluation, info),
        summary=summary(evaluation, info),
        table=table(evaluation, info),
        failures={method.name: found for method in methods if (found := failures(method))},
        refusals={method.name: found for method in methods if (found := refusals(method))},
        plots=_plots(methods, colours),
        columns=["source", "target", *(m.name for m in compared)],
        side_by_side=_side_by_side(evaluation, compared),
        galleries={m.name: _gallery(evaluation, m) for m in compared},
    )


def _plots(methods: Sequence[MethodResult], colours: dict[str, str]) -> list[str]:
    """Identity against attributes; plots that would show only controls are left out."""
    drawn = []
    for x, y in _PLOTS:
        dots = [
            Dot(m.name, m.estimates[x], m.estimates[y], m.control, colours[m.name])
            for m in methods
            if x in m.estimates and y in m.estimates
        ]
        if any(not dot.control for dot in dots):
            drawn.append(scatter(dots, BY_KEY[x], BY_KEY[y]))
    return drawn


def _side_by_side(evaluation: Evaluation, methods: Sequence[MethodResult]) -> list[list[Image]]:
    """Source, target and every method's result for some pairs, evenly spaced in the protocol's order."""
    count = min(_SIDE_BY_SIDE, len(evaluation.pairs))
    chosen = [i * len(evaluation.pairs) // count for i in range(count)]
    return [
        [*_inputs(evaluation, evaluation.pairs[i]), *(_result(method.pairs[i]) for method in methods)]
        for i in chosen
    ]


def _gallery(evaluation: Evaluation, method: MethodResult) -> dict[str, list[Example]]:
    """The best, median and worst pairs by the identity cosine to the source, and some failures."""
    done = [one for one in method.pairs if one.face is not None]
    done.sort(key=lambda one: -one.metrics["cos_source"])
    middle = max(0, (len(done) - _SHOWN) // 2)
    kinds = {
        "Best": done[:_SHOWN],
        "Median": done[middle : middle + _SHOWN],
        "Worst": done[-_SHOWN:],
        "Failed": [one for one in method.pairs if one.face is None and not one.refused][:_SHOWN],
    }
    return {kind: [_example(evaluation, one) for one in found] for kind, found in kinds.items() if found}


def _example(evaluation: Evaluation, one: PairResult) -> Example:
    known = [BY_KEY[key] for key in _CAPTION if key in one.metrics]
    values = [f"{m.label} {m.show(one.metrics[m.key])}{'°' if m.unit == '°' else ''}" for m in known]
    return Example(
        one.pair.name, [*_inputs(evaluation, one.pair), _result(one)], ", ".join(values) or one.failure
    )


def _inputs(evaluation: Evaluation, pair: Pair) -> list[Image]:
    return [_image(evaluation.faces[shot].thumbnail) for shot in (pair.source, pair.target)]


def _result(one: PairResult) -> Image:
    if one.face is None:
        return Image("", one.failure)
    return _image(one.face.thumbnail, f"result of {one.pair.name}")


def _image(jpeg: bytes, text: str = "") -> Image:
    return Image(f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", text)
