"""Give a generated face the target's expression back.

Even a face generated for the goal mesh comes out with slightly other brows, lids and lips. So its mesh is read again,
and those points are warped to where the goal mesh, laid on the face in its own pose and size, has them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .measures import expressive_points, frontal, onto_mean_face
from .shape import MIN_MOVE, displacement, reshape
from .topology import topology

_REACH = 0.25  # eye distances around the expressive points over which a correction fades out
_MAX_STEP = 0.08  # eye distances; a larger difference is usually a misread mesh, so it is clipped


@lru_cache(maxsize=1)
def _weights() -> np.ndarray:
    """(468,1) one on the expressive points, falling smoothly to zero around them."""
    face = topology().canonical[:, :2]
    away = np.linalg.norm(face[:, None] - face[None, expressive_points()], axis=2).min(1)
    t = np.clip(1 - away / _REACH, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)[:, None]


def keep_expression(
    picture: np.ndarray, mesh: np.ndarray, goal: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the picture with `strength` of the goal mesh's expression, and (H,W) float32 one where it changed.

    picture: (H,W,3) uint8. mesh: (468,3), read from the picture. goal: (468,3) in any pose.
    """
    scale, rotation, shift = onto_mean_face(mesh)
    step = scale * mesh @ rotation + shift - frontal(goal)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    step *= _weights() * np.minimum(1, _MAX_STEP / np.maximum(length, 1e-9))
    corrected = mesh - np.float32(strength) * (step @ rotation.T / scale)
    move = displacement(mesh, corrected.astype(np.float32), picture.shape[:2])
    return reshape(picture, move), (np.abs(move).max(2) >= MIN_MOVE).astype(np.float32)
