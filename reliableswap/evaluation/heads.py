"""Heads of a morphable model with procedural skin: whoever is asked for, in whatever pose, expression and light.

The model is ICT FaceKit's face area (MIT licence) as an .npz file with `neutral` (P,3), `identity` (100,P,3),
`expression` (57,P,3), `expression_names` and `faces` (T,3); lengths are centimetres, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ReliableSwapError
from .render import normals

SKIN, EYE, MOUTH, TEETH, HAIR, CLOTH = range(6)
_EYE_RADIUS, _EYE_DEPTH = 1.35, 1.35  # centimetres; the ball's front then just fills the lids' opening
_IRIS, _PUPIL = 0.44, 0.20  # angles in radians as seen from the ball's middle


@dataclass(frozen=True, eq=False)
class HeadModel:
    """The morphable model."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: list[str]
    triangles: np.ndarray

    @classmethod
    def load(cls, path: Path) -> HeadModel:
        if not path.is_file():
            raise ReliableSwapError(f"there is no head model {path}; give ICT FaceKit's face area as .npz")
        with np.load(path, allow_pickle=False) as data:
            wanted = {"neutral", "identity", "expression", "expression_names", "faces"}
            if not wanted <= set(data.files):
                raise ReliableSwapError(
                    f"{path} lacks {', '.join(sorted(wanted - set(data.files)))}; see heads.py"
                )
            return cls(
                data["neutral"].astype(np.float64),
                data["identity"].astype(np.float32),
                data["expression"].astype(np.float32),
                [str(name) for name in data["expression_names"]],
                data["faces"].astype(np.int64),
            )

    def points(self, shape: np.ndarray, expression: dict[str, float]) -> np.ndarray:
        """(P,3) a person's points: shape (100,) in standard deviations, expression by name in 0..1."""
        points = self.neutral + np.tensordot(shape, self.identity[: len(shape)], 1)
        for name, weight in expression.items():
            points = points + weight * self.expression[self.expression_names.index(name)]
        return np.asarray(points)

    def rims(self) -> dict[str, np.ndarray]:
        """The open edges by name, as point numbers in order: both eyes' lids and the lips."""
        edges = np.sort(self.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
        found, times = np.unique(edges, axis=0, return_counts=True)
        beside: dict[int, list[int]] = {}
        for a, b in found[times == 1].tolist():
            beside.setdefault(a, []).append(b)
            beside.setdefault(b, []).append(a)
        named: dict[str, np.ndarray] = {}
        while beside:
            ring = [min(beside)]
            while True:
                following = [p for p in beside.pop(ring[-1]) if p in beside]
                if not following:
                    break
                ring.append(following[0])
            x, y, _ = self.neutral[ring].mean(0)
            if y > 1 and 1 < abs(x) < 6:
                named["left_eye" if x > 0 else "right_eye"] = np.array(ring)
            elif abs(x) < 0.5 and -6 < y < -1 and len(ring) < 150:
                named["lips"] = np.array(ring)
        if len(named) != 3:
            raise ReliableSwapError("the head model has no open eyes and lips; use ICT FaceKit's face area")
        return named


@dataclass(frozen=True)
class Person:
    """What stays with a person: shape, and the looks that no light or pose explains."""

    shape: np.ndarray
    brows: tuple[float, float, float, float]  # height, thickness, arch, darkness
    lips: tuple[float, float, float]  # redness, fullness, darkness
    iris: np.ndarray  # (3,) linear colour
    beard: float
    flush: float
    spots: np.ndarray  # (N,4) x, y, radius, strength
    grain: int  # seed of the skin's fine pattern

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Person:
        irises = np.array([[0.10, 0.05, 0.02], [0.22, 0.13, 0.06], [0.12, 0.22, 0.35], [0.13, 0.24, 0.14]])
        spots = rng.uniform((-7, -9, 0.05, 0.2), (7, 10, 0.2, 0.7), (rng.integers(0, 12), 4))
        return cls(
            shape=np.clip(rng.normal(0, 1, 100), -2, 2),
            brows=(
                rng.normal(0, 0.15),
                rng.uniform(0.32, 0.6),
                rng.uniform(0.2, 0.7),
                rng.uniform(0.45, 0.9),
            ),
            lips=(rng.uniform(0.25, 0.9), rng.uniform(0.85, 1.15), rng.uniform(0.05, 0.3)),
            iris=irises[rng.integers(4)] * rng.uniform(0.7, 1.3),
            beard=max(0.0, rng.uniform(-0.5, 0.5)),
            flush=rng.uniform(0.1, 0.5),
            spots=spots,
            grain=int(rng.integers(1 << 31)),
        )


@dataclass(frozen=True, eq=False)
class Geometry:
    """Everything to be drawn: points, normals, triangles wound counter-clockwise from outside, what and where.

    place (P,3): a skin point's place on the neutral head; an eye's, its direction from the ball's middle with
    the gaze ahead. material (T,): SKIN, EYE, MOUTH, …
    """

    points: np.ndarray
    normals: np.ndarray
    place: np.ndarray
    triangles: np.ndarray
    material: np.ndarray


def geometry(
    model: HeadModel, person: Person, expression: dict[str, float], gaze: tuple[float, float]
) -> Geometry:
    """The person's head with that expression, eyes turned by `gaze` (radians left, up), mouth, hair, clothes."""
    points = model.points(person.shape, expression)
    parts = [(points, normals(points, model.triangles), model.neutral, model.triangles, SKIN)]
    rims = model.rims()
    neutral = model.points(person.shape, {})
    for name in ("left_eye", "right_eye"):
        middle = neutral[rims[name]].mean(0) - (0, 0, _EYE_DEPTH - 0.22)
        parts.append(_eyeball(middle, gaze))
    lips = points[rims["lips"]]
    parts.append(_mouth(lips))
    parts.append(_teeth(neutral[rims["lips"]]))
    # The head without hair and neck without clothes would end in mid-air.
    parts.append(_ellipsoid((0, 4.6, -0.6), (9.6, 9.6, 9.8), HAIR))
    parts.append(_ellipsoid((0, -27.5, -3.0), (21.0, 13.0, 9.5), CLOTH))
    offsets = np.cumsum([0] + [len(part[0]) for part in parts[:-1]])
    return Geometry(
        points=np.concatenate([part[0] for part in parts]),
        normals=np.concatenate([part[1] for part in parts]),
        place=np.concatenate([part[2] for part in parts]),
        triangles=np.concatenate([part[3] + offset for part, offset in zip(parts, offsets, strict=True)]),
        material=np.concatenate([np.full(len(part[3]), part[4]) for part in parts]),
    )


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]


def _ball(rows: int = 32, columns: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (N,3) with the pole ahead, and triangles wound counter-clockwise from outside."""
    polar, turn = np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False)
    p, t = np.meshgrid(polar, turn, indexing="ij")
    points = np.stack([np.sin(p) * np.cos(t), np.sin(p) * np.sin(t), np.cos(p)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = i * columns + j, i * columns + (j + 1) % columns
    c, d = a + columns, b + columns
    quads = np.stack([a, c, d, a, d, b], -1).reshape(-1, 3)
    return points, quads


def _eyeball(middle: np.ndarray, gaze: tuple[float, float]) -> _Part:
    ahead, triangles = _ball()
    left, up = gaze
    about_y = np.array([[np.cos(left), 0, np.sin(left)], [0, 1, 0], [-np.sin(left), 0, np.cos(left)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(up), np.sin(up)], [0, -np.sin(up), np.cos(up)]])
    turned = ahead @ (about_y @ about_x).T
    return middle + _EYE_RADIUS * turned, turned, ahead, triangles, EYE


def _mouth(lips: np.ndarray) -> _Part:
    """The dark behind the lips: their rim, drawn together some way inside."""
    inner = lips * (0.8, 0.8, 1) + lips.mean(0) * (0.2, 0.2, 0) - (0, 0, 1.6)
    middle = lips.mean(0) - (0, 0, 2.2)
    points = np.concatenate([lips, inner, middle[None]])
    count = len(lips)
    i = np.arange(count)
    j = (i + 1) % count
    side = np.concatenate([np.stack([i, j, i + count], 1), np.stack([j, j + count, i + count], 1)])
    back = np.stack([i + count, j + count, np.full(count, 2 * count)], 1)
    triangles = np.concatenate([side, back])
    both_ways = np.concatenate([triangles, triangles[:, ::-1]])  # whichever way the rim runs round
    ahead = np.tile((0.0, 0.0, 1.0), (len(points), 1))
    return points, ahead, points, both_ways, MOUTH


def _teeth(lips: np.ndarray) -> _Part:
    """The upper teeth: a curved band that stays with the skull."""
    middle = lips.mean(0)
    turn = np.linspace(-1.15, 1.15, 25)
    x, z = 1.9 * np.sin(turn), 1.7 * (np.cos(turn) - 1) - 1.0
    rows = [np.stack([middle[0] + x, np.full(25, middle[1] + dy), middle[2] + z], 1) for dy in (0.75, -0.12)]
    points = np.concatenate(rows)
    i = np.arange(24)
    triangles = np.concatenate([np.stack([i, i + 25, i + 26], 1), np.stack([i, i + 26, i + 1], 1)])
    outward = np.stack([np.sin(turn), np.zeros(25), np.cos(turn)], 1)
    return points, np.tile(outward, (2, 1)), points, triangles, TEETH


def _ellipsoid(middle: tuple[float, ...], radii: tuple[float, ...], material: int) -> _Part:
    ahead, triangles = _ball(48, 72)
    outward = ahead / np.array(radii)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return ahead * radii + middle, outward, ahead * radii, triangles, material


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
