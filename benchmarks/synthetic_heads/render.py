"""A small software rasteriser: triangles with a z-buffer, smooth normals, spherical-harmonic light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CHUNK = 2_000_000  # candidate pixels at a time: bounds the memory, not the result


@dataclass(frozen=True, eq=False)
class Surface:
    """What each pixel shows: triangle (H,W), -1 for none; weights (H,W,3) of its corners; depth (H,W)."""

    triangle: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    def spread(self, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """(N,C) the values (P,C) of the corners at the covered pixels, in the order of `covered`."""
        corners = triangles[self.triangle[self.covered]]
        return np.asarray(np.einsum("nk,nkc->nc", self.weights[self.covered], values[corners]))

    @property
    def covered(self) -> np.ndarray:
        """(H,W) bool."""
        return np.asarray(self.triangle >= 0)


def rasterise(points: np.ndarray, triangles: np.ndarray, shape: tuple[int, int]) -> Surface:
    """Points (P,3): x, y in pixels, and a depth that grows away from the eye; the nearest triangle wins.

    Triangles wound counter-clockwise as they are seen face the eye; the others are left out.
    """
    height, width = shape
    corners = points[triangles].astype(np.float64)
    x, y = corners[..., 0], corners[..., 1]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left = np.clip(np.ceil(x.min(1)), 0, width).astype(np.int64)
    right = np.clip(np.floor(x.max(1)) + 1, 0, width).astype(np.int64)
    top = np.clip(np.ceil(y.min(1)), 0, height).astype(np.int64)
    bottom = np.clip(np.floor(y.max(1)) + 1, 0, height).astype(np.int64)
    visible = np.flatnonzero((area < -1e-9) & (right > left) & (bottom > top))
    counts = (right - left)[visible] * (bottom - top)[visible]

    triangle = np.full(height * width, -1, np.int64)
    weights = np.zeros((height * width, 3))
    depth = np.full(height * width, np.inf)
    parts = np.searchsorted(np.cumsum(counts), np.arange(0, counts.sum(), _CHUNK), side="left")
    for chunk in np.split(np.arange(len(visible)), parts[1:]):
        if not len(chunk):
            continue
        owner = np.repeat(visible[chunk], counts[chunk])
        starts = np.repeat(np.cumsum(counts[chunk]) - counts[chunk], counts[chunk])
        step = np.arange(len(owner)) - starts
        wide = (right - left)[owner]
        px, py = left[owner] + step % wide, top[owner] + step // wide
        shares = _shares(x[owner], y[owner], area[owner], px, py)
        inside = shares.min(1) >= -1e-9
        owner, px, py, shares = owner[inside], px[inside], py[inside], shares[inside]
        far = (shares * corners[owner, :, 2]).sum(1)
        place = py * width + px
        # Far to near: where a pixel comes several times, numpy keeps the last.
        order = np.argsort(-far, kind="stable")
        order = order[far[order] < depth[place[order]]]
        triangle[place[order]] = owner[order]
        weights[place[order]] = shares[order]
        depth[place[order]] = far[order]
    return Surface(triangle.reshape(shape), weights.reshape(height, width, 3), depth.reshape(shape))


def _shares(x: np.ndarray, y: np.ndarray, area: np.ndarray, px: np.ndarray, py: np.ndarray) -> np.ndarray:
    """(N,3) barycentric weights of pixels in triangles with corners x, y (N,3)."""
    first = (x[:, 1] - px) * (y[:, 2] - py) - (x[:, 2] - px) * (y[:, 1] - py)
    second = (x[:, 2] - px) * (y[:, 0] - py) - (x[:, 0] - px) * (y[:, 2] - py)
    shares = np.stack([first, second, area - first - second], 1)
    return np.asarray(shares / area[:, None])


def normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(P,3) unit normals of the points, the mean of their triangles' by area."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    out = np.zeros_like(points, np.float64)
    for i in range(3):
        for axis in range(3):
            out[:, axis] += np.bincount(triangles[:, i], face[:, axis], len(points))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12))


def harmonics(directions: np.ndarray) -> np.ndarray:
    """(N,9) the real spherical harmonics up to the second degree at unit directions (N,3)."""
    x, y, z = directions.T
    return np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        1,
    )


# How much of each degree a matte surface returns (Ramamoorthi and Hanrahan 2001), over pi.
_MATTE = np.array([1.0] + [2 / 3] * 3 + [0.25] * 5)


def light_of(directions: np.ndarray, colours: np.ndarray, ambient: np.ndarray) -> np.ndarray:
    """(9,3) the harmonics' coefficients of distant lights (N,3) with colours (N,3), and light from everywhere."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    light = np.pi * _MATTE[:, None] * (harmonics(unit).T @ colours)
    light[0] += ambient / 0.282095
    return np.asarray(light)


def shade(normal: np.ndarray, light: np.ndarray) -> np.ndarray:
    """(N,3) the light that reaches surfaces with normals (N,3)."""
    return np.asarray(np.maximum(harmonics(normal) @ light, 0.0))
