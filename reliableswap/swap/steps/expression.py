"""Move lips, lids and brows of the swapped face back to the target's expression.

Even a face made exactly for the goal mesh is read a little differently: with other brows, or another shadow under the
lip. So the swapped face is read once more, and what differs in expression, not in pose or size, is warped back.
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
_LIMIT = 0.08  # eye distances that a point moves at most; a larger difference was often misread


def expression(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask` with the target's expression, as far as the swapped face can be read."""
    move = _move(job)
    if move is None:
        return job
    moved = moved_share(move, job.quick)
    image = reshape(job.image, move, job.quick, moved, by_whole_pixels=job.by_whole_pixels)
    return job.with_layers(image=image, mask=np.maximum(job.mask, moved > 0))


def foresee_expression(job: FaceJob) -> FaceJob:
    """Layer `expressed` (H,W,2): for each pixel, the offset to where the face must be read to have the target's
    expression.

    The face is read in a draft, because what is laid over the photo afterwards need not be resampled again.
    """
    if job.settings.expression * job.settings.likeness == 0:
        return job
    move = _move(compose(job, cv2.INTER_LINEAR if job.is_large else None))
    return job if move is None else job.with_layers(expressed=move)


def _move(job: FaceJob) -> np.ndarray | None:
    """(H,W,2) as `foresee_expression` says, by the image as it stands; None if its face can't be read."""
    strength = job.settings.expression * job.settings.likeness
    if strength == 0:
        return None
    (made,) = add_meshes(job.networks.landmarks, job.image, [job.target.face])
    if not made.confirmed and job.steady is None:
        return None
    mesh = made.mesh if made.confirmed else job.goal  # in a clip, the correction of the frames before fades
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
    """(468,3) the mesh without `strength` of a difference in expression, in its own pose and size."""
    scale, rotation, _ = onto_mean_face(mesh)
    return (mesh - np.float32(strength) * (step @ rotation.T / scale)).astype(np.float32)


@lru_cache(maxsize=1)
def _nearness() -> np.ndarray:
    """(468,1) one on lips, lids and brows, falling smoothly to zero around them."""
    face = topology().canonical[:, :2]
    away = np.linalg.norm(face[:, None] - face[None, expressive_points()], axis=2).min(1)
    t = np.clip(1 - away / _REACH, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)[:, None]
