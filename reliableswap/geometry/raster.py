"""Rasterising a mesh: which triangle covers each pixel, and values of points spread over the pixels.

The mesh is rasterised once into a list of triangle numbers; every quantity that is linear inside a triangle (where to
sample, how far to trust the sample) is then three coefficients a triangle, gathered and evaluated for all pixels at
once. The cost follows the pixels covered and not the number of triangles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from .topology import topology


@dataclass(frozen=True, eq=False)
class Raster:
    """Which triangle covers each pixel of a picture: `flat` (N,) indices of the covered pixels, `ids` (N,)."""

    shape: tuple[int, int]
    corners: np.ndarray  # (3,T): the points of each triangle
    flat: np.ndarray
    ids: np.ndarray
    inverses: np.ndarray  # (3,3,T): weight k of the corners is inverses[k] @ (x, y, 1)

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,), (N,) float32 x and y of the covered pixels."""
        y, x = np.divmod(self.flat, self.shape[1])
        return x.astype(np.float32), y.astype(np.float32)

    def planes(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """(N,) float32 for each column of point values (P,C): at the covered pixels, linear inside each triangle."""
        x, y = self.places
        for column in values.T:
            slopes = (column.take(self.corners)[:, None] * self.inverses).sum(0)
            a, b, c = (slope.take(self.ids) for slope in slopes.astype(np.float32))
            a *= x
            b *= y
            a += b
            a += c
            yield a

    def picture(self, values: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(H,W,C) float32 the same as a picture, `outside` where no triangle is."""
        return cv2.merge(self.planes_of(values, outside)).reshape(*self.shape, -1)

    def planes_of(self, values: np.ndarray, outside: float = 0.0) -> list[np.ndarray]:
        """(H,W) float32 each column of point values (P,C): numpy is slow where the last axis is as short as three."""
        out = np.full((values.shape[1], self.shape[0] * self.shape[1]), outside, np.float32)
        for plane, covered in zip(out, self.planes(values), strict=True):
            plane[self.flat] = covered
        return list(out.reshape(-1, *self.shape))


def rasterise(mesh: np.ndarray, shape_hw: tuple[int, int], triangles: np.ndarray | None = None) -> Raster:
    """The raster of a mesh (P,3) in a picture of that height and width; the nearest triangle wins a pixel.

    What is between the lips is painted first, then what faces away: a closed mouth folds a few triangles over, which
    must neither leave holes nor hide lips.
    """
    corners = topology().corners if triangles is None else np.ascontiguousarray(triangles.T, np.int64)
    outer = _beside_lips() if triangles is None else np.ones(len(triangles), bool)
    height, width = shape_hw
    x, y, z = mesh.T.astype(np.float64).take(corners, axis=1)  # (3,T) each
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    order = np.lexsort((-z.sum(0), area > 0, outer))
    owner, rows, left, right = _spans(x[:, order], y[:, order], height)
    first = np.clip(np.ceil(left - 1e-4), 0, width).astype(np.int64)
    last = np.clip(np.floor(right + 1e-4) + 1, 0, width).astype(np.int64)
    line, columns = _runs(first, np.maximum(last, first))
    ids = np.full(height * width, -1, np.int32)
    # Repeated indices: numpy keeps the last, the nearest.
    ids[(rows * width).take(line) + columns] = order.take(owner).take(line)
    covered = np.flatnonzero(ids >= 0)
    return Raster((height, width), corners, covered, ids[covered], _inverses(x, y))


def _spans(
    x: np.ndarray, y: np.ndarray, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corners (3,T) -> one entry a triangle and row of pixels: which triangle, which row, from where to where.

    On every row a triangle lies between its long side, from its highest corner to its lowest, and one of the others:
    the upper one above the corner in the middle, the lower one from there on.
    """
    by_height = np.argsort(y, axis=0, kind="stable")
    (x0, x1, x2), (y0, y1, y2) = (np.take_along_axis(axis, by_height, 0) for axis in (x, y))
    top = np.clip(np.ceil(y0), 0, height).astype(np.int64)
    bottom = np.clip(np.floor(y2) + 1, 0, height).astype(np.int64)
    owner, row = _runs(top, bottom)

    def side(xa: np.ndarray, ya: np.ndarray, xb: np.ndarray, yb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x = slope * y + start; a level side is met at its first corner, and at its other one by the next side."""
        rise = yb - ya
        level = rise < 1e-9
        slope = np.where(level, 0.0, (xb - xa) / np.where(level, 1.0, rise))
        return slope, xa - slope * ya

    long, upper, lower = side(x0, y0, x2, y2), side(x0, y0, x1, y1), side(x1, y1, x2, y2)
    one = long[0].take(owner) * row + long[1].take(owner)
    which = owner + len(y0) * (row >= y1.take(owner))
    slope, start = (np.concatenate(parts).take(which) for parts in zip(upper, lower, strict=True))
    other = slope * row + start
    return owner, row, np.minimum(one, other), np.maximum(one, other)


@lru_cache(maxsize=1)
def _beside_lips() -> np.ndarray:
    """(T,) the triangles but those that a mouth shows when it opens."""
    inner = np.zeros(len(topology().canonical), bool)
    inner[topology().regions["inner_lips"]] = True
    return ~inner[topology().triangles].all(axis=1)


def _runs(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every whole number of every half-open range, and which range it is from."""
    count = np.maximum(stop - start, 0)
    owner = np.repeat(np.arange(len(start)), count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, start[owner] + offset


def _inverses(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Corners (3,T) -> (3,3,T) from (x, y, 1) to barycentric weights; without area, the mean everywhere."""
    (x0, x1, x2), (y0, y1, y2) = x, y
    det = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
    thin = np.abs(det) < 1e-3
    inverses = np.empty((3, 3, x.shape[1]))
    for k, (xa, ya, xb, yb) in enumerate(((x1, y1, x2, y2), (x2, y2, x0, y0), (x0, y0, x1, y1))):
        inverses[k] = ya - yb, xb - xa, xa * yb - xb * ya
    inverses /= np.where(thin, 1.0, det)
    inverses[:, :, thin] = np.array([0.0, 0.0, 1 / 3])[:, None]
    return inverses


def signed_areas(mesh: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(T,) twice the area in the picture, positive for a triangle that faces the camera."""
    a, b, c = (mesh[triangles[:, k], :2].astype(np.float64) for k in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
