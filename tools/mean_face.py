"""The mean face and the mirrored twin of every mesh point, from the teacher's meshes of photos and mirrored photos.

The twins need no guess about a plane of symmetry: the teacher saw each photo and its reflection, so a point's twin is
the one that lands in its place when the reflection's mesh is reflected back. The mean is Procrustes': every mesh is
laid on the mean by a similarity in three dimensions, and the mean is made symmetric after each round.
"""

from __future__ import annotations

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.face import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from reliableswap.geometry.shape import similarity3d

_FOREHEAD, _CHIN = 10, 152
_ROUNDS = 6
_KEPT = 0.95  # of the meshes: the worst fits are wrong meshes more often than rare faces
_FLIP = np.array([-1.0, 1.0, 1.0])


def laid_on(meshes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N,468,3) each mesh moved, turned and scaled to lie on the mean face (468,3) as well as it can."""
    out = np.empty(meshes.shape)
    for i, mesh in enumerate(meshes):
        scale, rotation, shift = similarity3d(mesh, mean)
        out[i] = scale * mesh @ rotation + shift
    return out


def reflected(forms: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(...,468,3) faces seen in a mirror, in coordinates whose x is zero in the plane of symmetry."""
    return forms[..., mirror, :] * _FLIP


def mirror_map(meshes: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """(468,) the twin of every point; meshes (N,468,3) of photos, and of the same photos mirrored."""
    size = np.linalg.norm(meshes[:, RIGHT_EYE_OUTER] - meshes[:, LEFT_EYE_OUTER], axis=1)[:, None, None]
    here = (meshes - meshes.mean(1, keepdims=True)) / size
    back = (mirrored - mirrored.mean(1, keepdims=True)) * _FLIP / size
    points = meshes.shape[1]
    both = np.einsum("npc,nqc->pq", here, back, optimize=True)
    distance = (here**2).sum((0, 2))[:, None] + (back**2).sum((0, 2))[None] - 2 * both
    twin = distance.argmin(1)
    if not np.array_equal(twin[twin], np.arange(points)):
        wrong = int((twin[twin] != np.arange(points)).sum())
        raise ReliableSwapError(
            f"{wrong} mesh points have no twin among {len(meshes)} photos and their reflections; label more photos"
        )
    return twin


def symmetric(face: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(468,3) the face turned so that its plane of symmetry is x = 0, and averaged with its reflection."""
    for _ in range(
        8
    ):  # the turn is exact after one round if the face is symmetric, and nearly so if it is nearly
        middle = (face + reflected(face, mirror)) / 2
        face = laid_on(face[None], middle)[0]
    return (face + reflected(face, mirror)) / 2


def upright(face: np.ndarray) -> np.ndarray:
    """(468,3) a symmetric face with forehead and chin at one depth, eye distance 1, between the eyes y = z = 0."""
    face = face / np.linalg.norm(face[RIGHT_EYE_OUTER] - face[LEFT_EYE_OUTER])
    down = face[_CHIN] - face[_FOREHEAD]
    angle = np.arctan2(down[2], down[1])
    c, s = np.cos(angle), np.sin(angle)
    face = face @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return face - (face[RIGHT_EYE_OUTER] + face[LEFT_EYE_OUTER]) / 2 * (0, 1, 1)


def mean_face(meshes: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(468,3) the symmetric, upright mean of meshes (N,468,3)."""
    mean = upright(symmetric(meshes[0] - meshes[0].mean(0), mirror))
    for _ in range(_ROUNDS):
        forms = laid_on(meshes, mean)
        error = ((forms - mean) ** 2).sum((1, 2))
        mean = upright(symmetric(forms[error <= np.quantile(error, _KEPT)].mean(0), mirror))
    return mean
