"""Faces made from the mean face, for tests of tools/."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.topology import topology

MEAN, MIRROR = topology().canonical.astype(np.float64), topology().mirror
_RIGHT = [146, 91, 181, 84, 17, 77, 90, 180, 85, 16, 96, 89, 179, 86, 15, 95, 88, 178, 87, 14]
LOWER_LIP = sorted({*_RIGHT, *MIRROR[_RIGHT].tolist()})


def rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    vector = np.radians(rng.uniform(-degrees, degrees, 3))
    return cv2.Rodrigues(vector)[0]


def posed(forms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N,468,3) each face rotated, scaled and moved as in a photo."""
    return np.stack(
        [f @ rotation(rng, 25) * rng.uniform(20, 60) + rng.uniform(40, 90, 3) * (1, 1, 0) for f in forms]
    )


def in_a_mirror(meshes: np.ndarray, width: float = 128.0) -> np.ndarray:
    """(N,468,3) what a perfect teacher answers for the mirrored photos."""
    return meshes[:, MIRROR] * (-1, 1, 1) + (width - 1, 0, 0)


def opened(face: np.ndarray, gap: float) -> np.ndarray:
    """The face with the lower lip and all below it moved down by `gap` eye distances, and by less at the sides."""
    below = MEAN[:, 1] > MEAN[146, 1]
    below[LOWER_LIP] = True
    out = face.copy()
    out[below, 1] += gap * np.clip(1 - (np.abs(MEAN[below, 0]) / 0.45) ** 2, 0, 1)
    return out
