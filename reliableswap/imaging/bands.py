"""Laplacian pyramids and multi-band blending (Burt and Adelson, 1983): coarse bands mix widely, fine bands narrowly."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np


def bands_for(shape_hw: tuple[int, int], wanted: int) -> int:
    """How many of the wanted bands a picture of that size can have: its coarsest level keeps at least four pixels."""
    return int(np.clip(np.floor(np.log2(max(min(shape_hw), 1) / 4)), 0, wanted))


def three_channels(plane: np.ndarray) -> np.ndarray:
    """(H,W,3) the plane (H,W) in each channel; NumPy multiplies by this much faster than by (H,W,1)."""
    return cv2.merge([plane, plane, plane])


def gaussian_pyramid(picture: np.ndarray, bands: int) -> list[np.ndarray]:
    """The picture in float32 and `bands` halvings of it."""
    levels = [np.asarray(picture, np.float32)]
    for _ in range(bands):
        levels.append(cv2.pyrDown(levels[-1]))
    return levels


def laplacian_pyramid(picture: np.ndarray, bands: int) -> list[np.ndarray]:
    """`bands` band-pass pictures, finest first, and the remaining coarse picture; `collapse` inverts it."""
    levels = gaussian_pyramid(picture, bands)
    fine = [a - cv2.pyrUp(b, dstsize=a.shape[1::-1]) for a, b in pairwise(levels)]
    return [*fine, levels[-1]]


def collapse(pyramid: list[np.ndarray]) -> np.ndarray:
    """The picture that a Laplacian pyramid was made from."""
    picture = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        picture = cv2.pyrUp(picture, dstsize=band.shape[1::-1]) + band
    return picture


def blend_bands(over: np.ndarray, under: np.ndarray, mask: np.ndarray, bands: int) -> np.ndarray:
    """(H,W,3) float32 `over` where the mask (H,W) is one and `under` where it is zero, mixed band by band.

    Computed as under + mask * (over - under), so that an empty mask returns `under` bit for bit.
    """
    bands = bands_for(mask.shape[:2], bands)
    under = np.asarray(under, np.float32)
    difference = laplacian_pyramid(np.asarray(over, np.float32) - under, bands)
    masks = gaussian_pyramid(mask, bands)
    return under + collapse([d * three_channels(m) for d, m in zip(difference, masks, strict=True)])
