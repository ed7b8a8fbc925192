"""What stays the target's inside a face that was blended or generated: its gaze and its teeth."""

from __future__ import annotations

import numpy as np

from reliableswap.geometry import regions

_SOFT = 0.008  # of the face's width


def targets_own(mesh: np.ndarray, shape_hw: tuple[int, int], opening: float = 0.85) -> np.ndarray:
    """(H,W) in 0..1: one between the lids and between the lips of a mesh (468,3), with soft edges.

    opening: the fraction of the opening between the lids.
    """
    own = np.maximum(regions.eyes(mesh, shape_hw, opening), regions.inner_mouth(mesh, shape_hw))
    return regions.feathered(own, _SOFT * regions.face_width(mesh))
