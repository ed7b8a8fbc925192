"""Rasterise triangle meshes: which triangle covers each pixel, and point values interpolated over the pixels.

A mesh is rasterised once. Whatever is linear inside a triangle (where to sample, how far to trust the sample) is then
three coefficients per triangle, gathered and evaluated for all pixels at once, so the cost grows with the covered
pixels and not with the triangles. Depth z grows away from the camera; pixel centres lie at whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import cv2
import numpy as np

from .topology import topology

_EDGE = 1e-4  # pixels; centres this close to a triangle's edge count as covered: neighbours leave no gap
_MIN_AREA = 1e-3  # square pixels, doubled; inside thinner triangles values are constant


@dataclass(frozen=True, eq=False)
class Raster:
    """Which triangle covers each pixel of a picture of size `shape` (height, width).

    corners: (3,T) the points of each triangle. pixels: (N,) ascending flat indices of the covered pixels.
    triangles: (N,) the triangle that each of them shows. inverses: (3,3,T); inverses[k] @ (x, y, 1) is the
    barycentric weight of a triangle's corner k.
    """

    shape: tuple[int, int]
    corners: np.ndarray
    pixels: np.ndarray
    triangles: np.ndarray
    inverses: np.ndarray

    @cached_property
    def xy(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,), (N,) float32 x and y of the covered pixels."""
        y, x = np.divmod(self.pixels, self.shape[1])
        return x.astype(np.float32), y.astype(np.float32)

    @cached_property
    def covered(self) -> np.ndarray:
        """(H,W) bool."""
        covered = np.zeros(self.shape[0] * self.shape[1], bool)
        covered[self.pixels] = True
        return covered.reshape(self.shape)

    def only(self, kept: np.ndarray) -> Raster:
        """Return the raster with some of its covered pixels; `kept`: a boolean mask (N,) or indices."""
        return replace(self, pixels=self.pixels[kept], triangles=self.triangles[kept])

    def interpolate(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """(N,) float32 for each column of point values (P,C): the values at the covered pixels."""
        x, y = self.xy
        for column in values.T:
            slopes = (column.take(self.corners)[:, None] * self.inverses).sum(0)
            a, b, c = (slope.take(self.triangles) for slope in slopes.astype(np.float32))
            a *= x
            b *= y
            a += b
            a += c
            yield a

    def planes(self, values: np.ndarray, outside: float = 0.0) -> list[np.ndarray]:
        """(H,W) float32 for each column of point values (P,C), `outside` where there is no triangle."""
        return [self.plane(inside, outside) for inside in self.interpolate(values)]

    def plane(self, inside: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(H,W) float32 the values (N,) of the covered pixels, and `outside` elsewhere."""
        plane = np.full(self.shape, outside, np.float32)
        plane.ravel()[self.pixels] = inside
        return plane

    def picture(self, values: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(H,W,C) float32: the planes merged."""
        return cv2.merge(self.planes(values, outside)).reshape(*self.shape, -1)


def rasterise(mesh: np.ndarray, shape_hw: tuple[int, int], triangles: np.ndarray | None = None) -> Raster:
    """Rasterise a face mesh (468,3), or points (P,3) with triangles (T,3), ordering whole triangles by mean depth.

    Triangles are painted from far to near, those between the lips first and those that face away next: a closed mouth
    folds a few triangles over, which must neither leave holes nor hide lips.
    """
    corners = topology().corners if triangles is None else _corners(triangles)
    outside_mouth = _outside_mouth() if triangles is None else np.ones(len(triangles), bool)
    x, y, z = mesh.T.astype(np.float64).take(corners, axis=1)  # (3,T) each
    return _raster(_painted(x, y, z, outside_mouth, shape_hw), shape_hw, corners, _inverses(x, y))


def mirror_positions(mesh: np.ndarray, shape_hw: tuple[int, int], reduced: float = 1.0) -> np.ndarray:
    """(h,w,2) for each pixel of a face (468,3), the corresponding position on its other side; -2 outside the face.

    reduced: the factor by which the picture is smaller than `shape_hw`; positions are in its pixels.
    """
    height, width = (max(2, round(side / max(reduced, 1.0))) for side in shape_hw)
    scale = np.array([width / shape_hw[1], height / shape_hw[0], width / shape_hw[1]], np.float32)
    centre = np.array([0.5, 0.5, 0], np.float32)  # pixels' centres lie at whole numbers
    small = (mesh + centre) * scale - centre
    return rasterise(small, (height, width)).picture(small[topology().mirror][:, :2], outside=-2)


def shown_triangles(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) int16 the triangle of a face mesh (468,3) that each pixel shows, as `rasterise` finds it; -1: none."""
    x, y, z = mesh.T.astype(np.float64).take(topology().corners, axis=1)
    return _painted(x, y, z, _outside_mouth(), shape_hw).reshape(shape_hw).astype(np.int16)


def _painted(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, outside_mouth: np.ndarray, shape_hw: tuple[int, int]
) -> np.ndarray:
    """Corners (3,T) each -> (H*W,) int32 the triangle painted last at each pixel, or -1."""
    order = np.lexsort((-z.sum(0), _doubled_areas(x, y) > 0, outside_mouth))
    pixels, painted = _covered_pixels(x[:, order], y[:, order], shape_hw)
    ids = np.full(shape_hw[0] * shape_hw[1], -1, np.int32)
    ids[pixels] = order.take(painted)  # where an index is repeated, NumPy keeps the last value: the nearest
    return ids


def rasterise_solid(points: np.ndarray, shape_hw: tuple[int, int], triangles: np.ndarray) -> Raster:
    """Rasterise points (P,3) with triangles (T,3) by a z-buffer: each pixel shows what is nearest there.

    Only triangles whose corners run clockwise on the screen are drawn; the others face away.
    """
    triangles = np.asarray(triangles)
    corners = _corners(triangles)
    x, y, z = points.T.astype(np.float64).take(corners, axis=1)  # (3,T) each
    front = np.flatnonzero(_doubled_areas(x, y) > 0)
    inverses = _inverses(x, y)
    pixels, painted = _covered_pixels(x[:, front], y[:, front], shape_hw)
    painted = front.take(painted)
    row, column = np.divmod(pixels, shape_hw[1])
    a, b, c = (slope.take(painted) for slope in (z[:, None] * inverses).sum(0))
    far_to_near = np.argsort(-(a * column + b * row + c), kind="stable")
    ids = np.full(shape_hw[0] * shape_hw[1], -1, np.int32)
    ids[pixels[far_to_near]] = painted[far_to_near]  # NumPy keeps the last value: the nearest
    return _raster(ids, shape_hw, corners, inverses)


def signed_areas(mesh: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(T,) twice the area in the picture, positive for a triangle that faces the camera."""
    a, b, c = (mesh[triangles[:, k], :2].astype(np.float64) for k in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


@lru_cache(maxsize=1)
def _outside_mouth() -> np.ndarray:
    """(T,) bool, False for the triangles between the lips, which an open mouth shows."""
    inner = np.zeros(len(topology().canonical), bool)
    inner[topology().regions["inner_lips"]] = True
    return ~inner[topology().triangles].all(axis=1)


def _corners(triangles: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(triangles.T, np.int64)


def _doubled_areas(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])


def _raster(ids: np.ndarray, shape_hw: tuple[int, int], corners: np.ndarray, inverses: np.ndarray) -> Raster:
    covered = np.flatnonzero(ids >= 0)
    return Raster((shape_hw[0], shape_hw[1]), corners, covered, ids[covered], inverses)


def _covered_pixels(x: np.ndarray, y: np.ndarray, shape_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3,T) -> flat indices (M,) of all pixels inside each triangle, and those triangles (M,) in order."""
    height, width = shape_hw
    owner, rows, left, right = _row_spans(x, y, height)
    first = np.clip(np.ceil(left - _EDGE), 0, width).astype(np.int64)
    last = np.clip(np.floor(right + _EDGE) + 1, 0, width).astype(np.int64)
    span, columns = _ranges(first, np.maximum(last, first))
    return (rows * width).take(span) + columns, owner.take(span)


def _row_spans(
    x: np.ndarray, y: np.ndarray, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corners (3,T) -> one entry per triangle and row that it meets: triangle, row, left end, right end.

    On every row a triangle lies between its long side, from its highest corner to its lowest, and one of the two
    others: the upper side above the middle corner, the lower side from that corner on.
    """
    by_height = np.argsort(y, axis=0, kind="stable")
    (x0, x1, x2), (y0, y1, y2) = (np.take_along_axis(axis, by_height, 0) for axis in (x, y))
    top = np.clip(np.ceil(y0), 0, height).astype(np.int64)
    bottom = np.clip(np.floor(y2) + 1, 0, height).astype(np.int64)
    owner, row = _ranges(top, bottom)
    long, upper, lower = _side(x0, y0, x2, y2), _side(x0, y0, x1, y1), _side(x1, y1, x2, y2)
    one = long[0].take(owner) * row + long[1].take(owner)
    which = owner + len(y0) * (row >= y1.take(owner))
    slope, start = (np.concatenate(parts).take(which) for parts in zip(upper, lower, strict=True))
    other = slope * row + start
    return owner, row, np.minimum(one, other), np.maximum(one, other)


def _side(xa: np.ndarray, ya: np.ndarray, xb: np.ndarray, yb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """slope (T,) and start (T,) of the sides from a to b as x = slope * y + start; a level side gives corner a."""
    rise = yb - ya
    level = rise < 1e-9
    slope = np.where(level, 0.0, (xb - xa) / np.where(level, 1.0, rise))
    return slope, xa - slope * ya


def _ranges(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The integers of all half-open ranges, concatenated: the range each belongs to, and the integer."""
    count = np.maximum(stop - start, 0)
    owner = np.repeat(np.arange(len(start)), count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, start[owner] + offset


def _inverses(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Corners (3,T) -> (3,3,T) maps from (x, y, 1) to barycentric weights; for thin triangles, 1/3 everywhere."""
    (x0, x1, x2), (y0, y1, y2) = x, y
    det = _doubled_areas(x, y)
    thin = np.abs(det) < _MIN_AREA
    inverses = np.empty((3, 3, x.shape[1]))
    for k, (xa, ya, xb, yb) in enumerate(((x1, y1, x2, y2), (x2, y2, x0, y0), (x0, y0, x1, y1))):
        inverses[k] = ya - yb, xb - xa, xa * yb - xb * ya
    inverses /= np.where(thin, 1.0, det)
    inverses[:, :, thin] = np.array([0.0, 0.0, 1 / 3])[:, None]
    return inverses
