"""Metrics of clips only: flicker of a moving face, and frames in which the face was not swapped."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.raster import rasterise

from . import pixels

_BLUR = 2.0  # pixels of blur, to remove codec noise before pictures are compared
_MIN_DIFFERENCE = 1.5  # grey levels by which a swapped face differs from the target, at least
_MIN_RATIO = 2.0  # and as a multiple of the difference of the surroundings, which a codec changes too
_MAX_CODEC_NOISE = 5.0  # the largest change by a codec in grey levels; more means another picture


def warp_face(picture: np.ndarray, mesh: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Return the picture (H,W,3) uint8 with its face warped from a mesh (468,3) onto another; the rest is unchanged."""
    raster = rasterise(onto, picture.shape[:2])
    x, y = raster.planes(np.ascontiguousarray(mesh[:, :2]), outside=-1.0)
    moved = cv2.remap(picture, cv2.merge([x, y]), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.where(raster.covered[..., None], moved, picture)


def flicker(frames: np.ndarray, targets: np.ndarray, meshes: np.ndarray) -> float:
    """Three frames (3,H,W,3) of result and target, the target's meshes (3,468,3) -> grey levels of flicker.

    The neighbours' faces are warped onto the middle frame's mesh, so that motion does not count. Flicker is how much
    more the result's face changes than the target's own: expressions and the mesh's jitter change both alike.
    """
    before, now, after = meshes
    shape = frames.shape[1:3]
    onto = [
        np.stack([warp_face(one[0], before, now), one[1], warp_face(one[2], after, now)])
        for one in (frames, targets)
    ]
    return pixels.flicker(onto[0], onto[1], rasterise(now, shape).covered)


def is_unswapped(result: np.ndarray, target: np.ndarray, mesh: np.ndarray) -> bool:
    """Whether the face of a result (H,W,3) is still the target's: it differs no more than its surroundings do."""
    difference = np.abs(
        cv2.GaussianBlur(result.astype(np.float32), (0, 0), _BLUR)
        - cv2.GaussianBlur(target.astype(np.float32), (0, 0), _BLUR)
    ).mean(-1)
    inside = pixels.face_region(mesh, result.shape[:2], 0.0)
    outside = ~pixels.face_region(mesh, result.shape[:2], 3 * pixels.FACE_MARGIN)
    around = min(float(difference[outside].mean()), _MAX_CODEC_NOISE) if outside.any() else 0.0
    return bool(float(difference[inside].mean()) < max(_MIN_DIFFERENCE, _MIN_RATIO * around))
