"""What stays the target's inside a face that was blended or generated: its gaze and its teeth."""

from __future__ import annotations

import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.topology import topology

_SOFT = 0.008  # of the face's width
_FAR = 6.0  # in widths of the soft edge: how far around eyes and mouth there is something of them


def targets_own(mesh: np.ndarray, shape_hw: tuple[int, int], opening: float = 0.85) -> np.ndarray:
    """(H,W) in 0..1: one between the lids and between the lips of a mesh (468,3), with soft edges.

    opening: the fraction of the opening between the lids.
    """
    soft = _SOFT * regions.face_width(mesh)
    own = np.zeros(shape_hw, np.float32)
    for name in ("right_eye", "left_eye", "inner_lips"):  # small beside the face
        ring = topology().regions[name]
        where = regions.window(mesh[ring], shape_hw, _FAR * soft)
        near = mesh - np.array([where[1].start, where[0].start, 0], np.float32)
        shape = own[where].shape
        if name == "inner_lips":
            inside = regions.inner_mouth(near, shape)
        else:
            inside = regions.polygon_mask(regions.scaled_ring(near[ring], opening), shape)
        own[where] = np.maximum(own[where], regions.feathered(inside, soft))
    return own
