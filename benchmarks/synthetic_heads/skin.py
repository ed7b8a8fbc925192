"""Procedural colour of skin and eyes: linear albedo by the place on the neutral head, in centimetres."""

from __future__ import annotations

import numpy as np

from benchmarks.synthetic_heads.heads import Person

_IRIS, _PUPIL = 0.44, 0.20  # angles in radians as seen from the eyeball's middle


def skin_colour(place: np.ndarray, person: Person, tone: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """(N,3) linear albedo of the skin at places (N,3) on the neutral head; tone and hair are linear colours."""
    x, y, z = place.T
    front = _step(z, 2.0, 6.0)
    colour = (
        tone
        * (1 + 0.05 * _pattern(place, person.grain, 0.3) + 0.06 * _pattern(place, person.grain + 1, 2.5))[
            :, None
        ]
    )
    red = tone * np.array([1.12, 0.72, 0.66])
    cheeks = np.exp(-(((np.abs(x) - 4.6) / 2.0) ** 2) - ((y + 0.2) / 1.9) ** 2)
    nose = np.exp(-((x / 1.3) ** 2) - ((y - 0.0) / 1.2) ** 2)
    colour = _mix(colour, red, person.flush * np.maximum(cheeks, 0.7 * nose) * front)

    height, thickness, arch, dark = person.brows
    along = np.clip((np.abs(x) - 1.2) / 4.2, 0, 1)
    middle = 5.35 + height + arch * np.sin(np.pi * np.clip(along * 0.9, 0, 1)) - 0.25 * along
    half = thickness * (1 - 0.65 * along**2)
    strands = 1 + 0.35 * _pattern(place * (1, 3, 1), person.grain + 2, 0.14)
    brow = (
        _step(half - np.abs(y - middle), -0.12, 0.14)
        * _step(np.abs(x), 0.9, 1.4)
        * _step(5.9 - np.abs(x), 0, 0.7)
    )
    colour = _mix(colour, hair * 0.8, dark * np.clip(brow * strands, 0, 1) * front)

    redness, fullness, shade = person.lips
    across = np.clip(1 - (x / 2.55) ** 2, 0, None)
    bow = 0.75 * fullness * across**0.75 - 0.16 * np.exp(-((x / 0.35) ** 2))
    lip = _step(-3.32 + bow - y, -0.10, 0.12) * _step(
        y - (-3.45 - 0.95 * fullness * across**0.8), -0.12, 0.14
    )
    lip *= (np.abs(x) < 2.55) * front
    colour = _mix(colour, tone * np.array([1.0, 0.55, 0.55]) * (1 - shade), (0.45 + 0.5 * redness) * lip)

    below = _step(-1.9 - y - 0.12 * np.abs(x) + 0.45 * np.clip(np.abs(x) - 3, 0, None), 0, 1.2) * _step(
        y, -11, -8.5
    )
    colour = _mix(
        colour,
        hair,
        person.beard * below * (1 - lip) * (0.75 + 0.4 * _pattern(place, person.grain + 3, 0.12)),
    )
    lashes = np.min([_rim(x, y, side) for side in (-1, 1)], axis=0)
    colour = _mix(colour, tone * 0.18, 0.75 * np.exp(-((lashes / 0.11) ** 2)) * front)
    for sx, sy, radius, strength in person.spots:
        near = np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / radius**2) * front
        colour = _mix(colour, tone * 0.3, strength * near)
    scalp = np.maximum(_step(y - 9.3 + 0.045 * x**2, -0.6, 1.0), 1 - _step(z, 0.5, 4.0))
    return _mix(colour, hair, scalp * _step(y, -2.0, 1.0))


def eye_colour(ahead: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """(N,3) linear albedo of an eyeball at directions (N,3) from its middle, the pupil ahead."""
    angle = np.arccos(np.clip(ahead[:, 2], -1, 1))
    turn = np.arctan2(ahead[:, 1], ahead[:, 0])
    colour = np.broadcast_to([0.78, 0.74, 0.72], (len(ahead), 3)).copy()
    streaks = 1 + 0.25 * np.sin(23 * turn) * np.sin(9 * turn + 2)
    inside = _step(_IRIS - angle, -0.02, 0.03)
    colour = _mix(
        colour, iris * streaks[:, None] * (0.4 + 0.6 * _step(_IRIS - angle, 0.0, 0.1))[:, None], inside
    )
    return _mix(colour, np.full(3, 0.01), _step(_PUPIL - angle, -0.02, 0.02))


def _rim(x: np.ndarray, y: np.ndarray, side: int) -> np.ndarray:
    """(N,) centimetres from the upper lid's edge of one eye, on the neutral head."""
    u = np.clip((side * x - 2.05) / 2.4, 0, 1)
    edge = 3.2 + 1.05 * np.sin(np.pi * u) ** 0.8 + 0.15 * u
    return np.asarray(np.abs(y - edge) + 2 * np.clip(np.abs(side * x - 3.25) - 1.25, 0, None))


def _pattern(place: np.ndarray, seed: int, size: float) -> np.ndarray:
    """(N,) smooth noise about zero, within ±1, of bumps of that size in centimetres; a sum of plane waves."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 1 / size, (12, 3))
    return np.asarray(np.sin(place @ waves.T + rng.uniform(0, 2 * np.pi, 12)).mean(1) * 2)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(N,) 0 below low, 1 above high, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _mix(colour: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    part = np.clip(share, 0, 1)[:, None]
    return np.asarray(colour * (1 - part) + other * part)
