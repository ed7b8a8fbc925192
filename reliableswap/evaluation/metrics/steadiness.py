"""What only clips have: flicker of a face that moves, and frames in which a face was not swapped."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.raster import rasterise

from . import pixels

_SMOOTH = 2.0  # pixels of blur that take a codec's noise away before pictures are compared
_LEAST = 1.5  # grey levels by which a swapped face differs at least
_TIMES = 2.0  # and how many times as much as the surroundings, which a codec has changed as well
_CODEC = 5.0  # the most grey levels that a codec changes; more is another picture


def moved_with(picture: np.ndarray, mesh: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 a picture whose face with a mesh (468,3) is laid onto another mesh; the rest stays as it is."""
    raster = rasterise(onto, picture.shape[:2])
    x, y = raster.planes(np.ascontiguousarray(mesh[:, :2]), outside=-1.0)
    moved = cv2.remap(picture, cv2.merge([x, y]), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.where(raster.covered[..., None], moved, picture)


def flicker(frames: np.ndarray, targets: np.ndarray, meshes: np.ndarray) -> float:
    """Three frames (3,H,W,3) of result and target, the target's meshes (3,468,3) -> grey levels of flicker.

    The neighbours' faces are laid onto the middle frame's mesh, so that motion does not count. Then it is how much more
    the result's face changes than the target's own: expressions and the mesh's jitter change both alike.
    """
    before, now, after = meshes
    shape = frames.shape[1:3]
    onto = [
        np.stack([moved_with(one[0], before, now), one[1], moved_with(one[2], after, now)])
        for one in (frames, targets)
    ]
    return pixels.flicker(onto[0], onto[1], rasterise(now, shape).covered)


def is_unswapped(result: np.ndarray, target: np.ndarray, mesh: np.ndarray) -> bool:
    """Whether the face of a result (H,W,3) is still the target's: it differs no more than its surroundings do."""
    difference = np.abs(
        cv2.GaussianBlur(result.astype(np.float32), (0, 0), _SMOOTH)
        - cv2.GaussianBlur(target.astype(np.float32), (0, 0), _SMOOTH)
    ).mean(-1)
    inside = pixels.face_region(mesh, result.shape[:2], 0.0)
    outside = ~pixels.face_region(mesh, result.shape[:2], 3 * pixels.FACE_MARGIN)
    around = min(float(difference[outside].mean()), _CODEC) if outside.any() else 0.0
    return bool(float(difference[inside].mean()) < max(_LEAST, _TIMES * around))
