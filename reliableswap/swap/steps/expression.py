"""Move lips, lids and brows of the swapped face back to the target's expression.

Even on a face made exactly for the goal mesh, the mesh network reads a slightly different mesh, because of other brows
or another shadow under the lip. So the swapped face is read again, and any difference in expression, but not in pose or
size, is warped back.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from reliableswap.faces.detect import add_meshes
from reliableswap.geometry.measures import expressive_points, frontal, onto_mean_face
from reliableswap.geometry.shape import displacement, moved_share, reshape
from reliableswap.geometry.topology import topology
from reliableswap.swap.job import FaceJob

from .compose import compose

_REACH = 0.25  # eye distances over which a correction fades out into cheeks and forehead
_LIMIT = 0.08  # eye distances; largest move of a point, because larger differences were often misread


def expression(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask` with the target's expression, as far as the swapped face can be read."""
    move = _move(job)
    if move is None:
        return job
    moved = moved_share(move, job.quick)
    image = reshape(job.image, move, job.quick, moved, snap=job.snaps_to_pixels)
    return job.with_layers(image=image, mask=np.maximum(job.mask, moved > 0))


def plan_expression(job: FaceJob) -> FaceJob:
    """Layer `expressed` (H,W,2): for each pixel, the offset to the position to sample for the target's expression.

    The mesh is read from a draft, so that the final face need not be resampled once more.
    """
    if job.settings.expression * job.settings.likeness == 0:
        return job
    move = _move(compose(job, cv2.INTER_LINEAR if job.has_finer_detail else None))
    return job if move is None else job.with_layers(expressed=move)


def _move(job: FaceJob) -> np.ndarray | None:
    """(H,W,2) the offsets of `plan_expression`, from the current image; None if its face cannot be read."""
    strength = job.settings.expression * job.settings.likeness
    if strength == 0:
        return None
    (made,) = add_meshes(job.networks.landmarks, job.image, [job.target.face])
    if not made.confirmed and job.steady is None:
        return None
    mesh = made.mesh if made.confirmed else job.goal  # in a clip, earlier frames' correction fades
    step = job.steadied("expression", correction(mesh, job.goal))
    return displacement(mesh, corrected(mesh, step, strength), job.target.shape)


def correction(mesh: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """(468,3) how the mesh differs from the goal mesh in expression, in eye distances of the mean face."""
    scale, rotation, shift = onto_mean_face(mesh)
    step = scale * mesh @ rotation + shift - frontal(goal)
    far = np.linalg.norm(step, axis=1, keepdims=True)
    step *= _nearness() * np.minimum(1, _LIMIT / np.maximum(far, 1e-9))
    return np.asarray(step)


def corrected(mesh: np.ndarray, step: np.ndarray, strength: float) -> np.ndarray:
    """(468,3) the mesh with `strength` of a difference in expression removed, in its own pose and size."""
    scale, rotation, _ = onto_mean_face(mesh)
    return (mesh - np.float32(strength) * (step @ rotation.T / scale)).astype(np.float32)


@lru_cache(maxsize=1)
def _nearness() -> np.ndarray:
    """(468,1) one on lips, lids and brows, falling smoothly to zero around them."""
    face = topology().canonical[:, :2]
    away = np.linalg.norm(face[:, None] - face[None, expressive_points()], axis=2).min(1)
    t = np.clip(1 - away / _REACH, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)[:, None]
