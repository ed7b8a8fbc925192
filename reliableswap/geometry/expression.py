"""What a mesh says of expression, and how a made face gets the target's back.

Even a face made exactly for the goal mesh is read a little otherwise: with other brows, other shadows under the lip.
So the made face is read once more, and its lips, lids and brows are drawn to where the goal has them, without pose and
size. The goal is the target's mesh with its own expression, part of the way to the source's proportions.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .shape import STILL, displacement, reshape, shaped_mesh, similarity3d
from .topology import topology

_RUN = 0.25  # eye distances over which a correction runs out into cheeks and forehead
_MOST = 0.08  # eye distances: no point is drawn further, as what differs by more was often read wrongly


@lru_cache(maxsize=1)
def rigid_points() -> np.ndarray:
    """The points that speech, smiles and blinks leave alone: above the mouth, without eyes and brows."""
    top = topology()
    moving = np.zeros(len(top.canonical), bool)
    for ring in (*top.eyes, *top.brows):
        moving[ring] = True
    return np.flatnonzero(~moving & (top.canonical[:, 1] < top.canonical[2, 1]))


@lru_cache(maxsize=1)
def expressive_points() -> np.ndarray:
    """The rings that show an expression: lips, lids and brows."""
    top = topology()
    rings = (top.regions["lips"], top.regions["inner_lips"], *top.eyes, *top.brows)
    return np.unique(np.concatenate(rings))


@lru_cache(maxsize=1)
def _nearness() -> np.ndarray:
    """(468,1) one on the expressive points, running out smoothly around them."""
    face = topology().canonical[:, :2]
    away = np.linalg.norm(face[:, None] - face[None, expressive_points()], axis=2).min(1)
    t = np.clip(1 - away / _RUN, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)[:, None]


def onto_mean_face(mesh: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """scale, rotation (3,3), shift (3,) that lay a mesh's unmoved points on the mean face, whose eyes are 1 apart."""
    rigid = rigid_points()
    return similarity3d(mesh[rigid], topology().canonical[rigid])


def frontal(mesh: np.ndarray) -> np.ndarray:
    """(468,3) the mesh without pose and scale: laid on the mean face, whose eye distance is one."""
    scale, rotation, shift = onto_mean_face(mesh)
    return np.asarray(scale * mesh @ rotation + shift)


def expression_difference(mesh: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(468,3) how the points of one mesh differ from the other's, without pose, scale and person, seen from the front.

    The filter that tells persons from photos (reshape.py) first takes the one to the other's proportions.
    """
    as_other = shaped_mesh(mesh.astype(np.float32), other.astype(np.float32), 1.0)
    return frontal(as_other) - frontal(other)


def keep_expression(
    picture: np.ndarray, mesh: np.ndarray, goal: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the picture of a made face, whose mesh is given, with `strength` of the goal mesh's expression; and
    (H,W) one where it was drawn, else zero."""
    scale, rotation, shift = onto_mean_face(mesh)
    step = scale * mesh @ rotation + shift - frontal(goal)
    far = np.linalg.norm(step, axis=1, keepdims=True)
    step *= _nearness() * np.minimum(1, _MOST / np.maximum(far, 1e-9))
    drawn = mesh - np.float32(strength) * (step @ rotation.T / scale)
    move = displacement(mesh, drawn.astype(np.float32), picture.shape[:2])
    return reshape(picture, move), (np.abs(move).max(2) >= STILL).astype(np.float32)
