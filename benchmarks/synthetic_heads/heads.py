"""Heads of a morphable model with procedural skin: whoever is asked for, in whatever pose, expression and light.

The model is ICT FaceKit's face area (MIT licence) as an .npz file with `neutral` (P,3), `identity` (100,P,3),
`expression` (57,P,3), `expression_names` and `faces` (T,3); lengths are centimetres, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.synthetic_heads.render import normals
from reliableswap.errors import ReliableSwapError

SKIN, EYE, MOUTH, TEETH, HAIR, CLOTH = range(6)
_EYE_RADIUS, _EYE_DEPTH = 1.35, 1.35  # centimetres; the ball's front then just fills the lids' opening


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
