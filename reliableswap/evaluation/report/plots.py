"""Scatter plots of two metrics as inline SVG, drawn by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.metrics.definitions import Metric
from reliableswap.evaluation.metrics.intervals import Estimate

COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#dc2626")
_CONTROL = "#888888"
# matplotlib knows no CSS variables, so it draws with these colours, which are replaced afterwards.
_VARIABLES = {"#010203": "var(--text)", "#040506": "var(--line)"}
_TEXT, _LINE = _VARIABLES
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: the page's font, searchable and small
    "font.size": 9,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _LINE,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": _LINE,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Dot:
    """A method in a plot."""

    name: str
    x: Estimate
    y: Estimate
    control: bool
    colour: str


def colours_of(names: Sequence[str], controls: Sequence[bool]) -> dict[str, str]:
    """Name -> colour; controls are grey."""
    own = [name for name, control in zip(names, controls, strict=True) if not control]
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(own)}
    return {name: colours.get(name, _CONTROL) for name in names}


def check_installed() -> None:
    """Raise if matplotlib is missing; call this before a long measurement."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ReliableSwapError("reports need matplotlib; run: pip install 'reliableswap[judge]'") from error


def scatter(dots: Sequence[Dot], x: Metric, y: Metric) -> str:
    """Return an SVG element with one dot per method and its intervals as bars; empty without dots."""
    if not dots:
        return ""
    check_installed()
    import matplotlib as mpl
    from matplotlib.figure import Figure  # no pyplot: it would choose a display backend

    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"{x.key} {y.key}"}):
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.add_subplot(xlabel=x.title, ylabel=y.title)
        for dot in dots:
            axes.errorbar(
                dot.x.value * x.scale,
                dot.y.value * y.scale,
                xerr=_error_bar(dot.x, x),
                yerr=_error_bar(dot.y, y),
                fmt="o",
                color=dot.colour,
                markerfacecolor="none" if dot.control else dot.colour,
                elinewidth=1.2,
                label=dot.name,
            )
        axes.grid(linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2)
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return _inline(stream.getvalue(), f"{y.label} against {x.label}")


def _error_bar(estimate: Estimate, metric: Metric) -> list[list[float]]:
    """Return [[below], [above]], how far the interval reaches from the value in displayed units; 0 without one.

    Clamped at 0, as rounding may put an end on the wrong side of the value.
    """
    if not estimate.has_interval:
        return [[0.0], [0.0]]
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return [[max(below, 0.0) * metric.scale], [max(above, 0.0) * metric.scale]]


def _inline(svg: str, label: str) -> str:
    """Turn an SVG file into an element of an HTML page: no XML header, namespace URLs or fixed size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'<svg width="[^"]*" height="[^"]*"', f'<svg role="img" aria-label="{label}"', svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.strip()
