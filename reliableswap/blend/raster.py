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
    triangles: np.ndarray
    flat: np.ndarray
    ids: np.ndarray
    inverses: np.ndarray  # (T,3,3): barycentric weights = inverse @ (x, y, 1)

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,), (N,) float32 x and y of the covered pixels."""
        y, x = np.divmod(self.flat, self.shape[1])
        return x.astype(np.float32), y.astype(np.float32)

    def planes(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """(N,) float32 for each column of point values (P,C): at the covered pixels, linear inside each triangle."""
        x, y = self.places
        for column in values.T:
            slopes = np.einsum("tj,tji->it", column[self.triangles], self.inverses).astype(np.float32)
            a, b, c = (slope.take(self.ids) for slope in slopes)
            yield a * x + b * y + c

    def picture(self, values: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(H,W,C) float32 the same as a picture, `outside` where no triangle is."""
        # One plane after the other: numpy is slow where the last axis is as short as three.
        out = np.full((values.shape[1], self.shape[0] * self.shape[1]), outside, np.float32)
        for plane, covered in zip(out, self.planes(values), strict=True):
            plane[self.flat] = covered
        return cv2.merge(list(out.reshape(-1, *self.shape))).reshape(*self.shape, -1)


def rasterise(mesh: np.ndarray, shape_hw: tuple[int, int], triangles: np.ndarray | None = None) -> Raster:
    """The raster of a mesh (P,3) in a picture of that height and width; the nearest triangle wins a pixel.

    What is between the lips is painted first, then what faces away: a closed mouth folds a few triangles over, which
    must neither leave holes nor hide lips.
    """
    own = triangles is None
    triangles = topology().triangles if triangles is None else triangles
    outer = ~_between_lips() if own else np.ones(len(triangles), bool)
    height, width = shape_hw
    corners = mesh[triangles].astype(np.float64)  # (T,3,3)
    area = signed_areas(mesh, triangles)
    order = np.lexsort((-corners[:, :, 2].mean(1), area > 0, outer))
    px, py = corners[order, :, :2].transpose(2, 1, 0).copy()  # (3,T) each

    # One entry a triangle and row, then one a pixel: no Python loop over triangles.
    top = np.clip(np.ceil(py.min(0) - 1e-6), 0, height).astype(np.int64)
    bottom = np.clip(np.floor(py.max(0) + 1e-6) + 1, 0, height).astype(np.int64)
    owner, y = _runs(top, bottom)
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        low, high, height_ij = np.minimum(py[i], py[j]), np.maximum(py[i], py[j]), py[j] - py[i]
        flat = np.abs(height_ij) < 1e-9  # its ends belong to the other two sides as well
        slope = (px[j] - px[i]) / np.where(flat, 1.0, height_ij)
        low[flat] = np.inf
        a, b = low.take(owner), high.take(owner)
        crosses = (a <= y + 1e-6) & (y - 1e-6 <= b)
        x = px[i].take(owner) + slope.take(owner) * (np.minimum(np.maximum(y, a), b) - py[i].take(owner))
        np.minimum(left, x, out=left, where=crosses)
        np.maximum(right, x, out=right, where=crosses)
    seen = left <= right
    owner, y, left, right = owner[seen], y[seen], left[seen], right[seen]
    first = np.clip(np.ceil(left - 1e-4), 0, width).astype(np.int64)
    last = np.clip(np.floor(right + 1e-4) + 1, 0, width).astype(np.int64)
    row, x = _runs(first, np.maximum(last, first))
    ids = np.full(height * width, -1, np.int32)
    ids[y[row] * width + x] = order[owner[row]]  # repeated indices: numpy keeps the last, the nearest
    covered = np.flatnonzero(ids >= 0)
    return Raster((height, width), triangles, covered, ids[covered], _inverses(corners))


@lru_cache(maxsize=1)
def _between_lips() -> np.ndarray:
    """(T,) the triangles that a mouth shows when it opens."""
    inner = np.zeros(len(topology().canonical), bool)
    inner[topology().regions["inner_lips"]] = True
    return inner[topology().triangles].all(axis=1)


def _runs(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every whole number of every half-open range, and which range it is from."""
    count = np.maximum(stop - start, 0)
    owner = np.repeat(np.arange(len(start)), count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, start[owner] + offset


def _inverses(corners: np.ndarray) -> np.ndarray:
    """(T,3,3) from (x, y, 1) to barycentric weights; a triangle without area gives its mean everywhere."""
    (x0, y0), (x1, y1), (x2, y2) = (corners[:, k, :2].T for k in range(3))
    det = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
    thin = np.abs(det) < 1e-3
    det = np.where(thin, 1.0, det)
    rows = np.stack(
        [
            np.stack([y1 - y2, x2 - x1, x1 * y2 - x2 * y1], 1),
            np.stack([y2 - y0, x0 - x2, x2 * y0 - x0 * y2], 1),
            np.stack([y0 - y1, x1 - x0, x0 * y1 - x1 * y0], 1),
        ],
        1,
    )
    inverses = rows / det[:, None, None]
    inverses[thin] = np.array([0.0, 0.0, 1 / 3])
    return inverses


def signed_areas(mesh: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(T,) twice the area in the picture, positive for a triangle that faces the camera."""
    a, b, c = (mesh[triangles[:, k], :2].astype(np.float64) for k in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
