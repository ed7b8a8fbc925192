"""Mesh reenactment: one picture's real texture laid on another mesh, without stretching what it cannot show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from reliableswap.imaging.bands import in_colour

from .raster import Raster, rasterise
from .regions import face_width, mouth_opening
from .topology import checked_mesh, checked_picture, topology

# A triangle that the source shows at less than the first share of its size on the target is not used at all;
# from the second share on it is used as it is. The share is that of the narrow direction of the stretch.
STRETCH_LIMITS = (0.3, 0.65)
_TURNED = 0.3  # sine of the yaw from which the nose can hide a cheek
_LIP_DRAW = 0.45  # how far the lips' points move to their outer ring to stay clear of the teeth


def scale_between(source_mesh: np.ndarray, target_mesh: np.ndarray) -> float:
    """Source pixels for one target pixel, from the meshes' spreads in three dimensions (pose does not count)."""
    source, target = (m - m.mean(0) for m in (source_mesh, target_mesh))
    return float(np.sqrt((source**2).sum() / max(float((target**2).sum()), 1e-12)))


def trust(source_mesh: np.ndarray, target_mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(468,), (468,) 0..1: how well the source shows each point, for a texture that is to lie on the target's mesh:
    the point itself, and its twin on the face's other half, mirrored.

    A triangle is worth as much as its narrowest stretch from source to target; what faces away is worth nothing.
    Lips and eyelids are left out and take their surroundings' values: they open and close, and that is not pose.
    """
    top, (still, spreads) = topology(), _still_points()
    # A mirrored mesh is wound the wrong way round, which the minus signs undo.
    m, det = _stretch(np.stack([source_mesh, source_mesh[top.mirror]]), target_mesh)
    m = (m[0] * _SIDES, m[1] * _SIDES, m[2], m[3])
    # Smaller singular value of a 2x2 matrix, signed by its determinant.
    narrow = 0.5 * (np.hypot(m[0] + m[3], m[1] - m[2]) - np.hypot(m[0] - m[3], m[1] + m[2]))
    low, high = STRETCH_LIMITS
    share = np.clip((narrow / scale_between(source_mesh, target_mesh) - low) / (high - low), 0.0, 1.0)

    corners, points = top.corners.ravel(), len(target_mesh)
    weight = np.where(still & (det > 1e-3), np.maximum(det, 1e-6), 0.0)
    mass = np.bincount(corners, np.tile(weight, 3), points)
    total = np.stack([np.bincount(corners, np.tile(side, 3), points) for side in share * weight])
    value = np.where(mass > 0, total / np.maximum(mass, 1e-12), 1.0)
    value = np.clip(value.astype(np.float32) @ spreads.T, 0, 1)
    # What a mesh hides is asked of the mesh as it was.
    behind = _behind(source_mesh)
    value *= np.stack([1 - behind, 1 - behind[top.mirror]])
    one, other = (value * value * (3 - 2 * value)).astype(np.float32)
    return one, other


_SIDES = np.array([[1.0], [-1.0]])


def _stretch(source_meshes: np.ndarray, target_mesh: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The 2x2 matrices target -> source of all triangles, as four (N,T), and twice the target's areas (T,)."""
    corners = topology().corners

    def sides(meshes: np.ndarray) -> tuple[np.ndarray, ...]:
        """(N,T) or (T,) each: x and y of the two sides from a triangle's first corner."""
        x, y = np.moveaxis(meshes[..., :2].astype(np.float64), -1, 0).take(corners, axis=-1)
        return (
            x[..., 1, :] - x[..., 0, :],
            y[..., 1, :] - y[..., 0, :],
            x[..., 2, :] - x[..., 0, :],
            y[..., 2, :] - y[..., 0, :],
        )

    (ux, uy, vx, vy), (px, py, qx, qy) = sides(target_mesh), sides(source_meshes)
    det = ux * vy - uy * vx
    k = 1 / np.where(det > 1e-3, det, 1.0)
    ux, uy, vx, vy = ux * k, uy * k, vx * k, vy * k
    return (px * vy - qx * uy, qx * ux - px * vx, py * vy - qy * uy, qy * ux - py * vx), det


@lru_cache(maxsize=1)
def _still_points() -> tuple[np.ndarray, np.ndarray]:
    """(T,) triangles clear of lips and eyelids; (468,468) that spreads points' values into their surroundings."""
    top = topology()
    moving = np.zeros(len(top.canonical), bool)
    for name in ("lips", "inner_lips", "right_eye", "left_eye"):
        moving[top.regions[name]] = True
    moving[_lip_owners()[0]] = True
    beside = np.eye(len(moving))
    for i in range(3):
        for j in range(3):
            beside[top.triangles[:, i], top.triangles[:, j]] = 1
    known = (~moving).astype(np.float64)
    spreads = np.diag(known)
    for _ in range(4):  # far enough to cross the lips
        mass = beside @ known
        spreads = np.where(
            mass[:, None] > 0, beside @ (known[:, None] * spreads) / np.maximum(mass, 1e-9)[:, None], 0
        )
        known = (mass > 0).astype(np.float64)
    return ~moving[top.triangles].any(axis=1), spreads.astype(np.float32)


def _behind(mesh: np.ndarray) -> np.ndarray:
    """(468,) one for points that another part of the face hides, as a turned head's nose hides a cheek."""
    width = face_width(mesh)
    if abs(mesh[234, 2] - mesh[454, 2]) < _TURNED * width:
        return np.zeros(len(mesh))
    k = 80 / max(width, 1.0)
    small = ((mesh - mesh.min(0)) * k).astype(np.float32) + 1
    size = (int(small[:, 1].max()) + 3, int(small[:, 0].max()) + 3)
    depth = rasterise(small, size).picture(small[:, 2:], outside=np.inf)[..., 0]
    at = np.rint(small[:, :2]).astype(int)
    # The nearest of the 3x3 pixels around: a point on the very edge of the nose's shadow is no safe place either.
    nearest = cv2.erode(depth, np.ones((3, 3)))[at[:, 1], at[:, 0]]
    steep = 0.06 * 80
    return np.clip((small[:, 2] - nearest - steep) / steep, 0, 1)


def sample(picture: np.ndarray, positions: np.ndarray, scale: float) -> np.ndarray:
    """(H,W,C) the picture at positions (H,W,2); averaged first where `scale` pixels fall into one."""
    if scale > 1.5:
        positions, picture = _smaller(picture, positions, scale)
    method = cv2.INTER_CUBIC if scale < 0.75 else cv2.INTER_LINEAR
    return cv2.remap(picture, positions, None, method, borderMode=cv2.BORDER_REPLICATE)


def _smaller(picture: np.ndarray, positions: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    k = np.array([size[0] / width, size[1] / height], np.float32)
    return (positions + 0.5) * k - 0.5, cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=1)
def _lip_owners() -> tuple[np.ndarray, np.ndarray]:
    """Points of the lips within their outer ring, and for each the nearest point of that ring."""
    top = topology()
    ring = top.regions["lips"]
    flat = top.canonical[:, :2]
    outline = np.ascontiguousarray(flat[ring], np.float32)
    depth = [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in flat]
    inside = np.setdiff1d(np.flatnonzero(np.array(depth) > 1e-4), ring)
    distance = np.linalg.norm(flat[inside][:, None] - flat[ring][None], axis=2)
    return inside, ring[distance.argmin(1)]


def open_lips(source_mesh: np.ndarray, target_mesh: np.ndarray) -> np.ndarray:
    """(468,3) the source's mesh to sample from, its lips drawn off the teeth if its mouth is the wider open one.

    A mesh is a pixel or two wrong along the lips, and one row of teeth on a closed mouth shows at once. The lips'
    points move towards the lips' outer ring, so a little less lip is spread over the same place.
    """
    surplus = mouth_opening(source_mesh) - mouth_opening(target_mesh)
    share = _LIP_DRAW * float(np.clip(surplus / 0.1, 0, 1))
    if share == 0:
        return source_mesh
    inner, outer = _lip_owners()
    moved = source_mesh.copy()
    moved[inner] += share * (source_mesh[outer] - source_mesh[inner])
    return moved


@dataclass(frozen=True, eq=False)
class Texture:
    """image (H,W,3) uint8; validity (H,W) in 0..1; bare (H,W) 0..1, skin of the source's unmirrored side."""

    image: np.ndarray
    validity: np.ndarray
    bare: np.ndarray


def reenact(
    source: np.ndarray,
    source_mesh: np.ndarray,
    target_mesh: np.ndarray,
    raster: Raster,
    covers_at: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
) -> Texture:
    """The source's texture on the target's mesh, whose raster is given.

    `covers_at` takes positions (H,W,2) in the source to (H,W) and (H,W) in 0..1: where something covers its face, and
    where its skin is bare. What is hidden or faces away is taken from the face's other half if that shows it, and is
    otherwise not valid.
    """
    scale = scale_between(source_mesh, target_mesh)
    one, other = trust(source_mesh, target_mesh)
    points = np.column_stack([source_mesh[:, :2], one, source_mesh[topology().mirror, :2], other])
    planes = raster.planes(points, outside=-1.0)
    positions = [cv2.merge(planes[k : k + 2]) for k in (0, 3)]
    shown = [np.maximum(planes[k], 0) for k in (2, 5)]
    bare = np.ones_like(shown[0])
    if covers_at is not None:
        (hidden, bare), (hidden_twin, _) = map(covers_at, positions)
        shown = [shown[0] * (1 - hidden), shown[1] * (1 - hidden_twin)]

    validity = shown[0]
    image = sample(source, positions[0], scale)
    if np.count_nonzero(validity.flat[raster.pixels] < 0.9) > 0.01 * len(raster.pixels):
        from_twin = shown[1] * (1 - validity)
        both = validity + from_twin
        share = in_colour(validity / np.maximum(both, 1e-6))
        twin = sample(source, positions[1], scale)
        image, validity = np.rint(twin + share * (image.astype(np.float32) - twin)).astype(np.uint8), both
    covered = np.zeros(raster.shape[0] * raster.shape[1], np.uint8)
    covered[raster.pixels] = 1
    image = cv2.bitwise_and(image, image, mask=covered.reshape(raster.shape))
    return Texture(image, validity.astype(np.float32), bare)


def warp_texture(
    source: np.ndarray, source_mesh: np.ndarray, target_mesh: np.ndarray, shape_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,3) uint8 the source's texture on the target's mesh, and its validity (H,W) float32 in 0..1.

    Zero where the mesh is not. Validity falls to zero where neither half of the source's face shows the skin.
    """
    source = checked_picture(source, "source")
    source_mesh, target_mesh = checked_mesh(source_mesh, "source"), checked_mesh(target_mesh, "target")
    texture = reenact(source, source_mesh, target_mesh, rasterise(target_mesh, shape_hw))
    return texture.image, texture.validity
