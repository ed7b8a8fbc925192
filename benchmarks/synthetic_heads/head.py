"""A whole head as one mesh: the model's skin, with eyeballs, mouth, teeth, hair and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import HeadModel
from .scene import Person
from .shading import vertex_normals

SKIN, EYE, MOUTH, TEETH, HAIR, CLOTH = range(6)
# Centimetres; the eyeball's front then just fills the opening of the lids.
_EYE_RADIUS, _EYE_DEPTH = 1.35, 1.35


@dataclass(frozen=True, eq=False)
class Head:
    """A head to render: points and normals (P,3); triangles (T,3), counter-clockwise seen from outside.

    place (P,3): where colour is looked up. For skin it is the position on the neutral head; for an eye, the direction
    from the eyeball's centre when it looks straight ahead. material (T,): SKIN, EYE, MOUTH, …
    """

    points: np.ndarray
    normals: np.ndarray
    place: np.ndarray
    triangles: np.ndarray
    material: np.ndarray


def build_head(
    model: HeadModel, person: Person, expression: dict[str, float], gaze: tuple[float, float]
) -> Head:
    """Build the person's head with that expression, eyes turned by `gaze` (radians left, up), mouth, hair, clothes."""
    points = model.points(person.shape, expression)
    parts = [(points, vertex_normals(points, model.triangles), model.neutral, model.triangles, SKIN)]
    rims = model.rims()
    neutral = model.points(person.shape, {})
    for name in ("left_eye", "right_eye"):
        centre = neutral[rims[name]].mean(0) - (0, 0, _EYE_DEPTH - 0.22)
        parts.append(_eyeball(centre, gaze))
    parts.append(_mouth(points[rims["lips"]]))
    parts.append(_teeth(neutral[rims["lips"]]))
    # The model ends at the hairline and the neck, so hair and clothes cover its borders.
    parts.append(_ellipsoid((0, 4.6, -0.6), (9.6, 9.6, 9.8), HAIR))
    parts.append(_ellipsoid((0, -27.5, -3.0), (21.0, 13.0, 9.5), CLOTH))
    offsets = np.cumsum([0] + [len(part[0]) for part in parts[:-1]])
    return Head(
        points=np.concatenate([part[0] for part in parts]),
        normals=np.concatenate([part[1] for part in parts]),
        place=np.concatenate([part[2] for part in parts]),
        triangles=np.concatenate([part[3] + offset for part, offset in zip(parts, offsets, strict=True)]),
        material=np.concatenate([np.full(len(part[3]), part[4]) for part in parts]),
    )


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]


def _ball(rows: int = 32, columns: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (N,3) with the pole on z, and triangles (T,3), counter-clockwise seen from outside."""
    polar, turn = np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False)
    p, t = np.meshgrid(polar, turn, indexing="ij")
    points = np.stack([np.sin(p) * np.cos(t), np.sin(p) * np.sin(t), np.cos(p)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = i * columns + j, i * columns + (j + 1) % columns
    c, d = a + columns, b + columns
    quads = np.stack([a, c, d, a, d, b], -1).reshape(-1, 3)
    return points, quads


def _eyeball(centre: np.ndarray, gaze: tuple[float, float]) -> _Part:
    ahead, triangles = _ball()
    left, up = gaze
    about_y = np.array([[np.cos(left), 0, np.sin(left)], [0, 1, 0], [-np.sin(left), 0, np.cos(left)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(up), np.sin(up)], [0, -np.sin(up), np.cos(up)]])
    turned = ahead @ (about_y @ about_x).T
    return centre + _EYE_RADIUS * turned, turned, ahead, triangles, EYE


def _mouth(lips: np.ndarray) -> _Part:
    """The dark inside of the mouth: the lips' rim, narrowed behind them."""
    inner = lips * (0.8, 0.8, 1) + lips.mean(0) * (0.2, 0.2, 0) - (0, 0, 1.6)
    back_point = lips.mean(0) - (0, 0, 2.2)
    points = np.concatenate([lips, inner, back_point[None]])
    count = len(lips)
    i = np.arange(count)
    j = (i + 1) % count
    side = np.concatenate([np.stack([i, j, i + count], 1), np.stack([j, j + count, i + count], 1)])
    back = np.stack([i + count, j + count, np.full(count, 2 * count)], 1)
    triangles = np.concatenate([side, back])
    both_ways = np.concatenate([triangles, triangles[:, ::-1]])  # the rim may run either way
    ahead = np.tile((0.0, 0.0, 1.0), (len(points), 1))
    return points, ahead, points, both_ways, MOUTH


def _teeth(lips: np.ndarray) -> _Part:
    """The upper teeth: a curved band, which does not move with the jaw."""
    centre = lips.mean(0)
    turn = np.linspace(-1.15, 1.15, 25)
    x, z = 1.9 * np.sin(turn), 1.7 * (np.cos(turn) - 1) - 1.0
    rows = [np.stack([centre[0] + x, np.full(25, centre[1] + dy), centre[2] + z], 1) for dy in (0.75, -0.12)]
    points = np.concatenate(rows)
    i = np.arange(24)
    triangles = np.concatenate([np.stack([i, i + 25, i + 26], 1), np.stack([i, i + 26, i + 1], 1)])
    outward = np.stack([np.sin(turn), np.zeros(25), np.cos(turn)], 1)
    return points, np.tile(outward, (2, 1)), points, triangles, TEETH


def _ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...], material: int) -> _Part:
    ahead, triangles = _ball(48, 72)
    outward = ahead / np.array(radii)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return ahead * radii + centre, outward, ahead * radii, triangles, material
