"""Surface normals, and matte shading by spherical-harmonic light."""

from __future__ import annotations

import numpy as np

# The share of each harmonic that a matte surface reflects (Ramamoorthi and Hanrahan 2001), divided by pi.
_MATTE = np.array([1.0] + [2 / 3] * 3 + [0.25] * 5)
_CONSTANT = 0.282095  # the harmonic of degree 0


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Points (P,3), triangles (T,3) -> (P,3) unit normals, the area-weighted mean over each point's triangles."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    out = np.zeros_like(points, np.float64)
    for i in range(3):
        for axis in range(3):
            out[:, axis] += np.bincount(triangles[:, i], face[:, axis], len(points))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12))


def harmonics(directions: np.ndarray) -> np.ndarray:
    """Unit directions (N,3) -> (N,9) the real spherical harmonics up to degree 2."""
    x, y, z = directions.T
    return np.stack(
        [
            np.full_like(x, _CONSTANT),
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


def light_of(directions: np.ndarray, colours: np.ndarray, ambient: np.ndarray) -> np.ndarray:
    """Distant lights: directions (N,3), colours (N,3); ambient (3,) -> (9,3) coefficients of the harmonics."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    light = np.pi * _MATTE[:, None] * (harmonics(unit).T @ colours)
    light[0] += ambient / _CONSTANT
    return np.asarray(light)


def shade(normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Unit normals (N,3), light (9,3) -> (N,3) the light that each surface reflects."""
    return np.asarray(np.maximum(harmonics(normals) @ light, 0.0))
