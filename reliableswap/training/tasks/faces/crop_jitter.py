"""Crops jittered as if cut by an inexact detector."""

from __future__ import annotations

import numpy as np

from reliableswap.imaging.degrade import Rng


def jitter_crop(
    matrix: np.ndarray, extent: tuple[int, int], rng: Rng, *, degrees: float, size: float, shift: float
) -> np.ndarray:
    """(2,3) photo -> crop: the crop (width, height) rotated, scaled and shifted about its middle.

    The standard deviations are in degrees, in log scale, and in crop widths.
    """
    angle = rng.normal(0, np.radians(degrees))
    scale = np.exp(rng.normal(0, size))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(extent) - 1) / 2
    moved = middle - turn @ middle + rng.normal(0, shift * extent[0], 2)
    return np.column_stack([turn @ matrix[:, :2], turn @ matrix[:, 2] + moved])
