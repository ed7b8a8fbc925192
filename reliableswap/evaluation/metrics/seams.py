"""Seams: edges along the border of a swap that the target's photo does not have at the same place.

The border is taken from the mesh's outline, so that other tools' results are measured in the same way. Every engine's
mask ends slightly inside it.
"""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.regions import face_width
from reliableswap.geometry.topology import topology

_POINTS = 180  # along the outline
_REACH = np.linspace(-0.06, 0.02, 17)  # face widths across it, negative inside
_BLUR = 0.006  # face widths: finer edges are grain and hair
_FLOOR = 1.0  # grey levels per hundredth of the face's width; weaker edges are invisible
_PERCENTILE = 95  # percentile


def seams(result: np.ndarray, mesh: np.ndarray, photo: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Result (H,W,3) and its mesh (468,3), target's photo and mesh -> median and 95th percentile of the seam ratio.

    At each of 180 points of the outline, the ratio is the steepest edge across the border in the result, over that in
    the photo at the same point of the face. It is 1 everywhere if nothing was changed.
    """
    ratio = _steepest(result, mesh) / _steepest(photo, target)
    return float(np.median(ratio)), float(np.percentile(ratio, _PERCENTILE))


def _steepest(image: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(180,) the steepest slope across the border in grey levels per hundredth of the face's width, plus the floor."""
    width = face_width(mesh)
    points, outwards = _outline(mesh)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), max(_BLUR * width, 0.5))
    places = points[:, None] + outwards[:, None] * (_REACH * width)[None, :, None]
    x, y = cv2.split(places.astype(np.float32))
    lines = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    step = 100 * (_REACH[1] - _REACH[0])
    return np.asarray(np.abs(np.diff(lines, axis=1)).max(1) / step + _FLOOR)


def _outline(mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(180,2) points that divide each side of the outline evenly, and (180,2) unit vectors that point outwards."""
    ring = mesh[topology().oval, :2].astype(np.float64)
    share = np.arange(_POINTS) * len(ring) / _POINTS
    near = share.astype(int)
    part = (share - near)[:, None]
    along = np.roll(ring, -1, 0) - ring
    points = ring[near] + part * along[near]
    across = np.column_stack([along[near][:, 1], -along[near][:, 0]])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    inside = ((points - ring.mean(0)) * across).sum() < 0
    return points, -across if inside else across
