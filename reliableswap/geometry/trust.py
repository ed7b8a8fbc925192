"""How well a photo shows each point of a face, for warping its texture onto another mesh."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .raster import rasterise
from .regions import face_width
from .topology import topology

# Trust in a triangle rises from 0 to 1 between these limits of its source pixels per target pixel, in its narrowest
# direction and relative to the whole face's.
STRETCH_LIMITS = (0.3, 0.65)
_TURNED = 0.3  # sine of the yaw from which the nose can hide a cheek
_SPREAD_STEPS = 4  # mesh edges over which values spread: far enough to cross the lips
_DEPTH_WIDTH = 80  # the face's width in pixels at which hidden points are looked for
_DEPTH_STEP = 0.06  # face widths behind another surface from which a point starts to count as hidden
MIN_AREA = 1e-3  # square pixels, doubled; smaller triangles of the target face away or are degenerate
_SIDES = np.array([[1.0], [-1.0]])  # a mirrored mesh is wound the wrong way round


def scale_between(source_mesh: np.ndarray, target_mesh: np.ndarray) -> float:
    """Source pixels per target pixel, from the meshes' spreads in three dimensions, so that pose does not count."""
    source, target = (m - m.mean(0) for m in (source_mesh, target_mesh))
    return float(np.sqrt((source**2).sum() / max(float((target**2).sum()), 1e-12)))


def trust(source_mesh: np.ndarray, target_mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(468,), (468,) float32 in 0..1: how well the source shows each point, and how well its mirror point shows it.

    A triangle is trusted by its narrowest stretch from source to target, and not at all where it faces away.
    Lips and eyelids take the values of their surroundings, because they open and close in any pose.
    """
    mirror = topology().mirror
    shares, areas = _triangle_trust(source_mesh, target_mesh)
    value = np.clip(_point_means(shares, areas) @ surroundings().T, 0, 1)
    hidden = hidden_points(source_mesh)
    value *= np.stack([1 - hidden, 1 - hidden[mirror]])
    own, mirrored = (value * value * (3 - 2 * value)).astype(np.float32)
    return own, mirrored


def _triangle_trust(source_mesh: np.ndarray, target_mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2,T) how far the source's triangles and their mirror triangles are trusted; (T,) twice the target's areas."""
    (a, b, c, d), areas = _target_to_source(
        np.stack([source_mesh, source_mesh[topology().mirror]]), target_mesh
    )
    a, b = a * _SIDES, b * _SIDES
    # The smaller singular value of [[a, b], [c, d]], signed by the determinant.
    narrowest = 0.5 * (np.hypot(a + d, b - c) - np.hypot(a - d, b + c))
    low, high = STRETCH_LIMITS
    stretch = narrowest / scale_between(source_mesh, target_mesh)
    return np.clip((stretch - low) / (high - low), 0.0, 1.0), areas


def _target_to_source(
    source_meshes: np.ndarray, target_mesh: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """All triangles' 2x2 maps from target to source, four entries (N,T) row by row; (T,) twice the target's areas."""
    (ux, uy, vx, vy), (px, py, qx, qy) = _edge_vectors(target_mesh), _edge_vectors(source_meshes)
    det = ux * vy - uy * vx
    k = 1 / np.where(det > MIN_AREA, det, 1.0)
    ux, uy, vx, vy = ux * k, uy * k, vx * k, vy * k
    return (px * vy - qx * uy, qx * ux - px * vx, py * vy - qy * uy, qy * ux - py * vx), det


def _edge_vectors(meshes: np.ndarray) -> tuple[np.ndarray, ...]:
    """x, y of the vectors from each triangle's first corner to its second and third; (N,T) or (T,) each."""
    x, y = np.moveaxis(meshes[..., :2].astype(np.float64), -1, 0).take(topology().corners, axis=-1)
    return (
        x[..., 1, :] - x[..., 0, :],
        y[..., 1, :] - y[..., 0, :],
        x[..., 2, :] - x[..., 0, :],
        y[..., 2, :] - y[..., 0, :],
    )


def _point_means(shares: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(2,468) float32 the area-weighted means of the triangles' values (2,T) at each point; 1 where there are none.

    Triangles at lips and eyelids, and those that the target does not show, do not count.
    """
    corners = topology().corners.ravel()
    weight = np.where(rigid_triangles() & (areas > MIN_AREA), np.maximum(areas, 1e-6), 0.0)
    mass = np.bincount(corners, np.tile(weight, 3), len(_moving()))
    total = np.stack([np.bincount(corners, np.tile(one, 3), len(_moving())) for one in shares * weight])
    return np.where(mass > 0, total / np.maximum(mass, 1e-12), 1.0).astype(np.float32)


@lru_cache(maxsize=1)
def inside_lips() -> tuple[np.ndarray, np.ndarray]:
    """(N,) the points within the lips' outer ring, and (N,) the nearest point of that ring for each."""
    top = topology()
    ring = top.regions["lips"]
    flat = top.canonical[:, :2]
    outline = np.ascontiguousarray(flat[ring], np.float32)
    depth = [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in flat]
    inside = np.setdiff1d(np.flatnonzero(np.array(depth) > 1e-4), ring)
    distance = np.linalg.norm(flat[inside][:, None] - flat[ring][None], axis=2)
    return inside, ring[distance.argmin(1)]


@lru_cache(maxsize=1)
def _moving() -> np.ndarray:
    """(468,) bool, the points of lips and eyelids."""
    top = topology()
    moving = np.zeros(len(top.canonical), bool)
    for name in ("lips", "inner_lips", "right_eye", "left_eye"):
        moving[top.regions[name]] = True
    moving[inside_lips()[0]] = True
    return moving


@lru_cache(maxsize=1)
def rigid_triangles() -> np.ndarray:
    """(T,) bool, the triangles clear of lips and eyelids."""
    return ~_moving()[topology().triangles].any(axis=1)


@lru_cache(maxsize=1)
def surroundings() -> np.ndarray:
    """(468,468) float32 matrix that keeps the values of all points but lips and lids, and spreads them onto those."""
    triangles, moving = topology().triangles, _moving()
    beside = np.eye(len(moving))
    for i in range(3):
        for j in range(3):
            beside[triangles[:, i], triangles[:, j]] = 1
    known = (~moving).astype(np.float64)
    spread = np.diag(known)
    for _ in range(_SPREAD_STEPS):
        mass = beside @ known
        spread = np.where(
            mass[:, None] > 0, beside @ (known[:, None] * spread) / np.maximum(mass, 1e-9)[:, None], 0
        )
        known = (mass > 0).astype(np.float64)
    return spread.astype(np.float32)


def hidden_points(mesh: np.ndarray) -> np.ndarray:
    """(468,) 0..1, one for points that another part of the face hides, as a turned head's nose hides a cheek."""
    width = face_width(mesh)
    if abs(mesh[234, 2] - mesh[454, 2]) < _TURNED * width:
        return np.zeros(len(mesh))
    small = ((mesh - mesh.min(0)) * (_DEPTH_WIDTH / max(width, 1.0))).astype(np.float32) + 1
    size = (int(small[:, 1].max()) + 3, int(small[:, 0].max()) + 3)
    depth = rasterise(small, size).picture(small[:, 2:], outside=np.inf)[..., 0]
    at = np.rint(small[:, :2]).astype(int)
    # The nearest depth of 3x3 pixels, so that points on the very edge of what hides others count as hidden too.
    nearest = cv2.erode(depth, np.ones((3, 3)))[at[:, 1], at[:, 0]]
    step = _DEPTH_STEP * _DEPTH_WIDTH
    return np.clip((small[:, 2] - nearest - step) / step, 0, 1)
