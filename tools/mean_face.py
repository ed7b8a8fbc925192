"""The mean face and the mirrored twin of every mesh point, from the teacher's meshes of photos and mirrored photos.

The twins assume no plane of symmetry: the teacher saw each photo and its mirror image, and a point's twin is the one
that lands in its place when the mirror image's mesh is mirrored back. The mean is a Procrustes mean: every mesh is
aligned to it by a similarity in three dimensions, and it is made symmetric after each round.
"""

from __future__ import annotations

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.face import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from reliableswap.geometry.shape import similarity3d

_FOREHEAD, _CHIN = 10, 152
_ROUNDS = 6
_KEPT = 0.95  # share of the meshes that is kept: the worst fits are more often wrong meshes than rare faces
_FLIP = np.array([-1.0, 1.0, 1.0])


def aligned(meshes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N,468,3) each mesh aligned to the mean face (468,3) by a least-squares similarity."""
    out = np.empty(meshes.shape)
    for i, mesh in enumerate(meshes):
        scale, rotation, shift = similarity3d(mesh, mean)
        out[i] = scale * mesh @ rotation + shift
    return out


def reflected(forms: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(...,468,3) the mirror images of faces, in coordinates with the plane of symmetry at x = 0."""
    return forms[..., mirror, :] * _FLIP


def mirror_map(meshes: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Meshes (N,468,3) of photos and of the same photos mirrored -> (468,) the twin of every point."""
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
    """(468,3) the face rotated so that its plane of symmetry is x = 0, and averaged with its mirror image."""
    for _ in range(8):  # one round is exact for a symmetric face; others converge
        middle = (face + reflected(face, mirror)) / 2
        face = aligned(face[None], middle)[0]
    return (face + reflected(face, mirror)) / 2


def upright(face: np.ndarray) -> np.ndarray:
    """(468,3) the face with forehead and chin at one depth, eye distance 1, and y = z = 0 between the eyes."""
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
        forms = aligned(meshes, mean)
        error = ((forms - mean) ** 2).sum((1, 2))
        mean = upright(symmetric(forms[error <= np.quantile(error, _KEPT)].mean(0), mirror))
    return mean
