"""Scatter plots as inline SVG: one dot a method, its intervals as bars, colours that follow the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from reliableswap.evaluation.metrics.statistics import Estimate

from .figures import Figure

COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#dc2626")
_CONTROL = "#888888"
_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 18, 16, 46


@dataclass(frozen=True)
class Dot:
    """A method in a plot."""

    name: str
    x: Estimate
    y: Estimate
    control: bool
    colour: str


def colours_of(names: Sequence[str], controls: Sequence[bool]) -> dict[str, str]:
    """A colour a method; controls are grey."""
    own = [name for name, control in zip(names, controls, strict=True) if not control]
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(own)}
    return {name: colours.get(name, _CONTROL) for name in names}


def scatter(dots: Sequence[Dot], x: Figure, y: Figure) -> str:
    """An SVG of the dots on two figures' axes, or nothing if there are no dots."""
    if not dots:
        return ""
    x_ticks, y_ticks = _ticks([d.x for d in dots], x), _ticks([d.y for d in dots], y)

    def across(value: float) -> float:
        return _LEFT + _along(value * x.scale, x_ticks) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - _along(value * y.scale, y_ticks) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y.label)} against {escape(x.label)}">'
    ]
    floor = _HEIGHT - _BOTTOM
    for tick in x_ticks:
        at = across(tick / x.scale)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{floor}"/>')
        parts.append(f'<text x="{at:.1f}" y="{floor + 16}" text-anchor="middle">{_number(tick)}</text>')
    for tick in y_ticks:
        at = down(tick / y.scale)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{_WIDTH - _RIGHT}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x.title)}</text>'
    )
    half = (_TOP + floor) / 2
    parts.append(
        f'<text class="axis" transform="translate(13 {half}) rotate(-90)" text-anchor="middle">{escape(y.title)}</text>'
    )
    parts += [_drawn(dot, across, down) for dot in dots]
    parts += _labels(dots, [(across(d.x.value), down(d.y.value)) for d in dots])
    return "".join([*parts, "</svg>"])


def _drawn(dot: Dot, across: Callable[[float], float], down: Callable[[float], float]) -> str:
    x, y = across(dot.x.value), down(dot.y.value)
    bars = (
        f'<path d="M{across(dot.x.low):.1f} {y:.1f}H{across(dot.x.high):.1f}M{x:.1f} {down(dot.y.low):.1f}'
        f'V{down(dot.y.high):.1f}" stroke="{dot.colour}" stroke-width="1.5" opacity=".6"/>'
    )
    fill = "none" if dot.control else dot.colour
    return (
        f'{bars}<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{dot.colour}" stroke-width="2">'
        f"<title>{escape(dot.name)}</title></circle>"
    )


def _labels(dots: Sequence[Dot], places: Sequence[tuple[float, float]]) -> list[str]:
    """Names beside the dots: to the side where there is room, and moved down off the names already there."""
    taken: list[tuple[float, float, float]] = []
    out = []
    for dot, (x, y) in sorted(zip(dots, places, strict=True), key=lambda one: one[1][1]):
        length = 6.2 * len(dot.name)
        right = x + 10 + length < _WIDTH
        left_edge = x + 10 if right else x - 10 - length
        height = y - 7
        while any(left_edge < b and a < left_edge + length and abs(height - h) < 13 for a, b, h in taken):
            height += 13
        height = min(max(height, _TOP + 8), _HEIGHT - _BOTTOM - 4)
        taken.append((left_edge, left_edge + length, height))
        out.append(f'<text class="name" x="{left_edge:.1f}" y="{height:.1f}">{escape(dot.name)}</text>')
    return out


def _ticks(estimates: Sequence[Estimate], figure: Figure) -> list[float]:
    """Four to eight round numbers around all intervals, in shown units."""
    low = min(e.low for e in estimates) * figure.scale
    high = max(e.high for e in estimates) * figure.scale
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(power * k) for k in (1, 2, 2.5, 5, 10) if power * k >= raw * 0.999)
    first, last = np.floor(low / step - 0.15), np.ceil(high / step + 0.15)
    if low >= 0:
        first = max(first, 0.0)
    return [float(step * k) for k in np.arange(first, last + 1)]


def _along(value: float, ticks: Sequence[float]) -> float:
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _number(value: float) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"
