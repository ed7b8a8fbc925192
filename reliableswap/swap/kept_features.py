"""What remains the target's inside a blended or generated face: gaze, shut lids and teeth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.measures import eye_openings
from reliableswap.geometry.topology import topology

# Rings around the upper lid up to its fold and as much below the eye; right eye first.
_LIDS = np.array(
    [
        [130, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25],
        [359, 467, 260, 259, 257, 258, 286, 414, 463, 341, 256, 252, 253, 254, 339, 255],
    ]
)
_SHUT = 0.16, 0.2  # openings, in eye widths, up to which lids are the target's and from which they are not
_SOFT, _SOFT_LIDS = 0.008, 0.02  # of the face's width
_FAR = 6.0  # sigmas around eyes and mouth beyond which their soft edges have ended

Draw = Callable[[np.ndarray, tuple[int, int]], np.ndarray]  # a mesh and a picture's (H,W) -> a mask


def inner_features_mask(mesh: np.ndarray, shape_hw: tuple[int, int], opening: float = 0.85) -> np.ndarray:
    """(H,W) in 0..1: one between the lids, on shut lids and between the lips of a mesh (468,3), with soft edges.

    Shut lids are the target's because no texture of an open eye shows them. opening: the fraction of the opening
    between the lids that is the target's.
    """
    rings, width = topology().regions, regions.face_width(mesh)
    own = np.zeros(shape_hw, np.float32)
    _add(own, mesh, rings["inner_lips"], _SOFT * width, regions.inner_mouth)
    for eye, lids, opened in zip(("right_eye", "left_eye"), _LIDS, eye_openings(mesh), strict=True):
        _add(own, mesh, rings[eye], _SOFT * width, _polygon(rings[eye], opening))
        shut = float(np.clip((_SHUT[1] - opened) / (_SHUT[1] - _SHUT[0]), 0, 1))
        if shut > 0:
            _add(own, mesh, lids, _SOFT_LIDS * width, _polygon(lids), shut)
    return own


def _add(
    own: np.ndarray, mesh: np.ndarray, ring: np.ndarray, soft: float, draw: Draw, share: float = 1.0
) -> None:
    """Raise `own` (H,W) to `share` on a part with soft edges, drawn in a window because it is small."""
    where = regions.window(mesh[ring], own.shape, _FAR * soft)
    near = mesh - np.array([where[1].start, where[0].start, 0], np.float32)
    part = regions.feathered(draw(near, own[where].shape), soft)
    own[where] = np.maximum(own[where], share * part)


def _polygon(ring: np.ndarray, scale: float = 1.0) -> Draw:
    return lambda mesh, shape_hw: regions.polygon_mask(regions.scaled_ring(mesh[ring], scale), shape_hw)
