"""What covers a face: hair, glasses, hands and other things in front of it, told from its skin's colour."""

from __future__ import annotations

import cv2
import numpy as np

from . import colour, regions
from .topology import topology

_WORK = 72.0  # face width in pixels at which covers are looked for


def hidden(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(H,W) 0..1 how surely something is in front of the face at each pixel; zero outside its outline."""
    height, width = picture.shape[:2]
    k = min(1.0, _WORK / regions.face_width(mesh))
    size = (max(8, round(width * k)), max(8, round(height * k)))
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if k < 1 else picture
    points = mesh.copy()
    points[:, :2] = (mesh[:, :2] + 0.5) * scale - 0.5
    points[:, 2] *= scale[0]
    found = _hidden_small(small, points)
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR) if k < 1 else found


def _hidden_small(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    shape = picture.shape[:2]
    lab = colour.to_lab(picture)
    sample = regions.polygon_mask(mesh[[116, 205, 2, 425, 345, 6], :2], shape)
    if sample.sum() < 12:
        return np.zeros(shape, np.float32)
    pixels = lab[sample > 0]
    mean = np.median(pixels, 0)
    spread = np.maximum(1.48 * np.median(np.abs(pixels - mean), 0), (6.0, 2.5, 3.0))
    distance = np.sqrt((((lab - mean) / (spread * 1.6)) ** 2).sum(2))
    found = 1 / (1 + np.exp(-(distance - 3.0) * 3))
    features = np.maximum(
        regions.eyes(mesh, shape, 1.6), np.maximum(regions.brows(mesh, shape), regions.lips(mesh, shape))
    )
    lower = regions.polygon_mask(mesh[topology().oval, :2], shape)
    lower[: max(0, int(mesh[1, 1]))] = 0
    found = found * regions.oval(mesh, shape) * (1 - cv2.dilate(features, np.ones((5, 5)))) * (1 - lower)
    found = cv2.morphologyEx(found.astype(np.float32), cv2.MORPH_OPEN, np.ones((3, 3)))
    return regions.soft(found, 1.0)
