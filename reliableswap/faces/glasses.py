"""Find the pixels of glasses, frames and dark lenses, with a GlassesNet.

The network runs only on faces that wear glasses according to the classifier `looks.GLASSES`, so that brows and shadows
of other faces are never taken for frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from reliableswap.bundled import bundled
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.regions import disc
from reliableswap.geometry.topology import topology
from reliableswap.runtime.arrays import ArrayNetwork

from .activations import sigmoid
from .align import similarity, to_planes

SIZE = (128, 64)  # width and height of the patch around the eyes
# The patch on the canonical face, whose outer eye corners are 1 apart: left, top, pixels per unit.
_LEFT, _TOP, _SCALE = -1.0, -0.42, 64.0
_SEEN = (0.1, 0.4)  # probabilities between which a pixel goes from bare to covered
_POINTS = (33, 133, 362, 263, 168, 6, 197, 127, 356, 70, 300, 117, 346)


def to_patch(mesh: np.ndarray) -> np.ndarray:
    """(2,3) the similarity from a picture to the upright patch around the eyes of its face."""
    points = list(_POINTS)
    place = (topology().canonical[points, :2] - (_LEFT, _TOP)) * _SCALE - 0.5
    return similarity(mesh[points, :2], place)


def patch(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(64,128,3) uint8 the patch of a picture (H,W,3)."""
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    if scale < 1 / 1.5:  # shrink by area averaging first: bilinear sampling alone would skip pixels
        x0, y0, x1, y1 = bounds(matrix, picture.shape[:2])
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        picture = cv2.resize(picture[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        kx, ky = (x1 - x0) / size[0], (y1 - y0) / size[1]
        larger = np.array([[kx, 0, x0 + 0.5 * kx - 0.5], [0, ky, y0 + 0.5 * ky - 0.5], [0, 0, 1]])
        matrix = matrix @ larger
    return cv2.warpAffine(picture, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)


def bounds(matrix: np.ndarray, shape_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the part of the picture that the patch is cut from, with a small margin."""
    width, height = SIZE
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    found = cv2.transform(corners[None], cv2.invertAffineTransform(matrix))[0]
    pad = 4 / float(np.sqrt(np.linalg.det(matrix[:, :2])))
    x0, y0 = np.clip(np.floor(found.min(0) - pad), 0, np.array(shape_hw[::-1]) - 1).astype(int)
    x1, y1 = np.clip(np.ceil(found.max(0) + pad), (x0 + 1, y0 + 1), shape_hw[::-1]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


@lru_cache(maxsize=1)
def bundled_glasses() -> ArrayNetwork:
    """Return the GlassesNet that ships with the package, loaded once per process.

    For triplets and training, whose workers share it; a pipeline has a GlassesNet among its components.
    """
    from reliableswap.models.glasses import GlassesNet
    from reliableswap.runtime.torch_arrays import TorchArrayNetwork

    return TorchArrayNetwork(GlassesNet.from_pretrained(bundled("glasses")).float().eval())


@dataclass(frozen=True, eq=False)
class Glasses:
    """The glasses in a patch around the eyes, (64,128) in 0..1, and the matrix (2,3) from the picture to the patch."""

    mask: np.ndarray
    matrix: np.ndarray

    def at(self, positions: np.ndarray) -> np.ndarray:
        """(H,W) in 0..1: glasses at positions (H,W,2) of the picture."""
        if not self.mask.any():
            return np.zeros(positions.shape[:2], np.float32)
        places = cv2.transform(positions, self.matrix).astype(np.float32)
        return cv2.remap(self.mask, places, None, cv2.INTER_LINEAR)

    def on(
        self, shape_hw: tuple[int, int], scale: float = 1.0, shift: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """(H,W) in 0..1: glasses in a copy of the picture; its position p lies at (p + 0.5) * scale + shift - 0.5."""
        there = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
        there[:, 2] = 0.5 * scale + shift - 0.5
        back = there @ np.vstack([cv2.invertAffineTransform(self.matrix), (0, 0, 1)])
        return cv2.warpAffine(self.mask, back, shape_hw[::-1])


NONE = Glasses(np.zeros(SIZE[::-1], np.float32), np.eye(2, 3))


def find(picture: np.ndarray, mesh: np.ndarray, network: ArrayNetwork) -> Glasses:
    """Find the pixels of a face's glasses in a picture (H,W,3) uint8 with a GlassesNet; it must wear some."""
    matrix = to_patch(mesh)
    (logits,) = network(to_planes(patch(picture, matrix)))
    worn = rising(sigmoid(logits[0, 0]), _SEEN)
    # Close the holes left by reflections on lenses and by faint parts of the frame.
    worn = cv2.morphologyEx(worn, cv2.MORPH_CLOSE, disc(3))
    # Grow by a pixel: a remaining edge of a frame would show as a line.
    return Glasses(cv2.dilate(worn, disc(1)), matrix)
