"""Procedural colours of skin and eyes: linear albedo by the position on the neutral head, in centimetres."""

from __future__ import annotations

import numpy as np

from .scene import Person

_IRIS, _PUPIL = 0.44, 0.20  # radians, seen from the eyeball's centre


def skin_colour(place: np.ndarray, person: Person, tone: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """Positions (N,3) on the neutral head, tone and hair (3,) linear -> (N,3) linear albedo of the skin."""
    front = _step(place[:, 2], 2.0, 6.0)
    fine, coarse = _pattern(place, person.grain, 0.3), _pattern(place, person.grain + 1, 2.5)
    colour = tone * (1 + 0.05 * fine + 0.06 * coarse)[:, None]
    flushed = tone * np.array([1.12, 0.72, 0.66])
    colour = _mix(colour, flushed, person.flush * _cheeks_and_nose(place) * front)
    colour = _mix(colour, hair * 0.8, person.brows[3] * _brows(place, person) * front)
    redness, _, darkness = person.lips
    lips = _lips(place, person) * front
    colour = _mix(colour, tone * np.array([1.0, 0.55, 0.55]) * (1 - darkness), (0.45 + 0.5 * redness) * lips)
    colour = _mix(colour, hair, person.beard * _beard(place, person) * (1 - lips))
    lashes = np.min([_lid_distance(place, side) for side in (-1, 1)], axis=0)
    colour = _mix(colour, tone * 0.18, 0.75 * np.exp(-((lashes / 0.11) ** 2)) * front)
    x, y, _ = place.T
    for spot_x, spot_y, radius, strength in person.spots:
        near = np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / radius**2) * front
        colour = _mix(colour, tone * 0.3, strength * near)
    return _mix(colour, hair, _scalp(place))


def _cheeks_and_nose(place: np.ndarray) -> np.ndarray:
    """(N,) how strongly the skin flushes"""
    x, y, _ = place.T
    cheeks = np.exp(-(((np.abs(x) - 4.6) / 2.0) ** 2) - ((y + 0.2) / 1.9) ** 2)
    nose = np.exp(-((x / 1.3) ** 2) - ((y - 0.0) / 1.2) ** 2)
    return np.maximum(cheeks, 0.7 * nose)


def _brows(place: np.ndarray, person: Person) -> np.ndarray:
    """(N,) share of brow hair"""
    x, y, _ = place.T
    height, thickness, arch, _ = person.brows
    along = np.clip((np.abs(x) - 1.2) / 4.2, 0, 1)
    middle = 5.35 + height + arch * np.sin(np.pi * np.clip(along * 0.9, 0, 1)) - 0.25 * along
    half = thickness * (1 - 0.65 * along**2)
    strands = 1 + 0.35 * _pattern(place * (1, 3, 1), person.grain + 2, 0.14)
    across = _step(half - np.abs(y - middle), -0.12, 0.14)
    brow = across * _step(np.abs(x), 0.9, 1.4) * _step(5.9 - np.abs(x), 0, 0.7)
    return np.asarray(np.clip(brow * strands, 0, 1))


def _lips(place: np.ndarray, person: Person) -> np.ndarray:
    """(N,) share of lip colour"""
    x, y, _ = place.T
    fullness = person.lips[1]
    across = np.clip(1 - (x / 2.55) ** 2, 0, None)
    bow = 0.75 * fullness * across**0.75 - 0.16 * np.exp(-((x / 0.35) ** 2))
    upper = _step(-3.32 + bow - y, -0.10, 0.12)
    lower = _step(y - (-3.45 - 0.95 * fullness * across**0.8), -0.12, 0.14)
    return upper * lower * (np.abs(x) < 2.55)


def _beard(place: np.ndarray, person: Person) -> np.ndarray:
    """(N,) share of beard"""
    x, y, _ = place.T
    line = -1.9 - y - 0.12 * np.abs(x) + 0.45 * np.clip(np.abs(x) - 3, 0, None)
    stubble = 0.75 + 0.4 * _pattern(place, person.grain + 3, 0.12)
    return _step(line, 0, 1.2) * _step(y, -11, -8.5) * stubble


def _scalp(place: np.ndarray) -> np.ndarray:
    """(N,) share of hair on the scalp"""
    x, y, z = place.T
    above = np.maximum(_step(y - 9.3 + 0.045 * x**2, -0.6, 1.0), 1 - _step(z, 0.5, 4.0))
    return above * _step(y, -2.0, 1.0)


def eye_colour(ahead: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """Directions (N,3) from the eyeball's centre when it looks ahead, iris (3,) -> (N,3) linear albedo."""
    angle = np.arccos(np.clip(ahead[:, 2], -1, 1))
    around = np.arctan2(ahead[:, 1], ahead[:, 0])
    white = np.broadcast_to([0.78, 0.74, 0.72], (len(ahead), 3)).copy()
    streaks = 1 + 0.25 * np.sin(23 * around) * np.sin(9 * around + 2)
    brightness = streaks * (0.4 + 0.6 * _step(_IRIS - angle, 0.0, 0.1))
    colour = _mix(white, iris * brightness[:, None], _step(_IRIS - angle, -0.02, 0.03))
    return _mix(colour, np.full(3, 0.01), _step(_PUPIL - angle, -0.02, 0.02))


def _lid_distance(place: np.ndarray, side: int) -> np.ndarray:
    """(N,) centimetres from the upper lid's edge of one eye on the neutral head"""
    x, y, _ = place.T
    along = np.clip((side * x - 2.05) / 2.4, 0, 1)
    edge = 3.2 + 1.05 * np.sin(np.pi * along) ** 0.8 + 0.15 * along
    return np.asarray(np.abs(y - edge) + 2 * np.clip(np.abs(side * x - 3.25) - 1.25, 0, None))


def _pattern(place: np.ndarray, seed: int, size: float) -> np.ndarray:
    """(N,) smooth noise in [-2,2] around zero, a mean of plane waves with bumps of `size` centimetres"""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 1 / size, (12, 3))
    return np.asarray(np.sin(place @ waves.T + rng.uniform(0, 2 * np.pi, 12)).mean(1) * 2)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(N,) 0 below `low`, 1 above `high`, smooth between"""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _mix(colour: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Blend colours (N,3) by shares (N,)."""
    part = np.clip(share, 0, 1)[:, None]
    return np.asarray(colour * (1 - part) + other * part)
