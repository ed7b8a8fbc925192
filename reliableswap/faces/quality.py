"""Measure how well a photo shows a face: how sharp, how covered, and how evenly lit."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.raster import Raster, rasterise
from reliableswap.geometry.topology import topology
from reliableswap.geometry.warp import Copies, reenact
from reliableswap.imaging.colour import local_means, to_lab

from .visibility import Covers

CROP_SIDE = 128  # sharpness and light are measured on a crop of this size, whatever the crop's own
FACE = (slice(20, 116), slice(24, 104))  # from brows to chin and cheek to cheek on that crop

_FRONTAL_SIDE = 96  # of the frontal view on which one-sided light is measured
_LIGHT_SIGMA = 3.0  # of the local means there, in pixels
_LEAST_PIXELS = 200  # of skin, on both sides together
_SHOWN = 0.3  # validity from which a pixel of the frontal view counts
_STEEPEST = 97  # percentile of the slopes: an edge of a shadow is narrow


def grey_crop(crop: np.ndarray) -> np.ndarray:
    """(128,128) float32 the luma of an aligned crop (S,S,3)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if grey.shape[0] != CROP_SIDE:
        grey = cv2.resize(grey, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
    return grey.astype(np.float32)


def sharpness(crop: np.ndarray) -> float:
    """The strength of the finest octave divided by that of the two coarser ones: 0.3 to 0.5 for a sharp face, 0.2 if
    it is blurred by one pixel. As a ratio it does not depend on contrast."""
    face = grey_crop(crop)[FACE]
    once = cv2.GaussianBlur(face, (0, 0), 1.0)
    coarser = once - cv2.GaussianBlur(face, (0, 0), 4.0)
    return float((face - once).std() / (coarser.std() + 1.0))


def covered_share(covers: Covers, mesh: np.ndarray, shape_hw: tuple[int, int]) -> float:
    """The share of the face behind hair, dark glasses or hands."""
    face = regions.oval(mesh, shape_hw)
    hidden, _ = covers.on(shape_hw)
    return float((hidden * face).sum() / max(float(face.sum()), 1.0))


def hard_light(picture: Copies, mesh: np.ndarray, covers: Covers) -> float:
    """How steeply the light on one side of a face changes where that on the other side does not.

    The unit is the change of log lightness across the scale of the local means, 3 % of the face's height. Evenly lit
    faces have 0.01 to 0.08; from about 0.2 on, shadows have edges. A face that shows too little skin has 0. On a turned
    face, the half that the photo does not show counts as lit like the other.
    """
    frontal, raster = _frontal_view()
    view = reenact(picture, mesh, frontal, raster, covers.at)
    skin = (view.skin * (view.validity > _SHOWN)).astype(np.float32)
    both = (skin > 0.5) & (skin[:, ::-1] > 0.5)
    if np.count_nonzero(both) < _LEAST_PIXELS:
        return 0.0
    (means,) = local_means([to_lab(view.image)], skin, _LIGHT_SIGMA)
    down, right = np.gradient(np.log(np.maximum(means[..., 0], 2.0)))
    slope = np.hypot(down, right) * _LIGHT_SIGMA
    return float(np.percentile(np.maximum(slope - slope[:, ::-1], 0)[both], _STEEPEST))


@lru_cache(maxsize=1)
def _frontal_view() -> tuple[np.ndarray, Raster]:
    """The mean face seen from the front, its middle in the middle of a square picture; and its raster."""
    mesh = topology().canonical.copy()
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    mesh *= (_FRONTAL_SIDE - 8) / float((high - low).max())
    mesh[:, :2] += (_FRONTAL_SIDE - 1) / 2 - (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    return mesh, rasterise(mesh, (_FRONTAL_SIDE, _FRONTAL_SIDE))
