"""Rays from the mouth through the jaw: corresponding places of two faces beyond their meshes' outlines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from . import regions
from .ramps import rising
from .topology import topology

_LIPS = [13, 14]  # points of both lips, between which the rays begin
_EARS = 361, 132  # points of the outline below the ears
_SIDES = 0.25  # value of `jaw_position` up to which nothing lies beyond the jaw: beside the ears there is no throat


@lru_cache(maxsize=1)
def jaw() -> np.ndarray:
    """(R,) the points of the outline from one ear to the other, each with a ray."""
    oval = topology().oval.tolist()
    first, last = (oval.index(point) for point in _EARS)
    return np.array(oval[first : last + 1])


@lru_cache(maxsize=1)
def jaw_position() -> np.ndarray:
    """(R,) float32 how far along the jaw the rays lie, from 0 at the ears to 1 at the chin."""
    return np.asarray(np.sin(np.linspace(0, np.pi, len(jaw()))) ** 2, np.float32)


@lru_cache(maxsize=1)
def reach_factor() -> np.ndarray:
    """(R,) float32 factors on distances beyond the jaw, from 0 beside the ears to 1 at the chin."""
    return rising(jaw_position(), (_SIDES, 1.0))


def on_rays(mesh: np.ndarray, distances: Sequence[float]) -> np.ndarray:
    """(D,R,2) float32 places on the rays of a mesh (468,3), at distances (D,) from the jaw in face widths."""
    points = mesh[jaw(), :2]
    rays = points - mesh[_LIPS, :2].mean(0)
    rays *= regions.face_width(mesh) / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-3)
    out = np.array(distances, np.float32)[:, None]
    return np.asarray(points + np.where(out > 0, out * reach_factor(), out)[..., None] * rays, np.float32)


@lru_cache(maxsize=4)
def between_rings(rings: int) -> np.ndarray:
    """(T,3) triangles between rings of places on all rays, numbered ring by ring; clockwise on the screen."""
    count = len(jaw())
    a = (np.arange(rings - 1)[:, None] * count + np.arange(count - 1)).ravel()
    b, c, d = a + 1, a + count, a + count + 1
    return np.concatenate([np.column_stack([a, c, b]), np.column_stack([b, c, d])])
