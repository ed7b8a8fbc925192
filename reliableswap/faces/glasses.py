"""Which pixels of a face are its glasses: frames and dark lenses, by the bundled GlassesNet.

Only faces that look as if they wore some are asked about (looks.GLASSES), so that brows and shadows are never taken for
frames on faces without any.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reliableswap.bundled import bundled
from reliableswap.geometry.regions import disc
from reliableswap.geometry.topology import topology

from .align import similarity

if TYPE_CHECKING:  # the blend room does without torch until somebody wears glasses
    from reliableswap.models.glasses import GlassesNet

SIZE = (128, 64)  # width and height of the piece around the eyes
# Where it lies on the canonical face, whose eyes' outer corners are 1 apart.
_LEFT, _TOP, _SCALE = -1.0, -0.42, 64.0
_SEEN = (0.1, 0.4)  # odds between which a pixel goes from bare to covered
_POINTS = (33, 133, 362, 263, 168, 6, 197, 127, 356, 70, 300, 117, 346)


def to_patch(mesh: np.ndarray) -> np.ndarray:
    """(2,3) the similarity from a picture to the upright piece around the eyes of a face in it."""
    points = list(_POINTS)
    place = (topology().canonical[points, :2] - (_LEFT, _TOP)) * _SCALE - 0.5
    return similarity(mesh[points, :2], place)


def patch(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(64,128,3) uint8 the piece of a picture (H,W,3)."""
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    if scale < 1 / 1.5:  # a large photo: one pixel in four would be neither seen nor averaged
        x0, y0, x1, y1 = around(matrix, picture.shape[:2])
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        picture = cv2.resize(picture[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        kx, ky = (x1 - x0) / size[0], (y1 - y0) / size[1]
        larger = np.array([[kx, 0, x0 + 0.5 * kx - 0.5], [0, ky, y0 + 0.5 * ky - 0.5], [0, 0, 1]])
        matrix = matrix @ larger
    return cv2.warpAffine(picture, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)


def around(matrix: np.ndarray, shape_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the picture's part that the piece is cut from, with a little around."""
    width, height = SIZE
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    found = cv2.transform(corners[None], cv2.invertAffineTransform(matrix))[0]
    pad = 4 / float(np.sqrt(np.linalg.det(matrix[:, :2])))
    x0, y0 = np.clip(np.floor(found.min(0) - pad), 0, np.array(shape_hw[::-1]) - 1).astype(int)
    x1, y1 = np.clip(np.ceil(found.max(0) + pad), (x0 + 1, y0 + 1), shape_hw[::-1]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


@lru_cache(maxsize=1)
def _network() -> GlassesNet:
    from reliableswap.models.glasses import GlassesNet

    return GlassesNet.from_pretrained(bundled("glasses")).float().eval()


@dataclass(frozen=True, eq=False)
class Glasses:
    """What of a piece around the eyes is glasses, (64,128) 0..1, and the matrix (2,3) from the picture to it."""

    odds: np.ndarray
    matrix: np.ndarray

    def at(self, positions: np.ndarray) -> np.ndarray:
        """(H,W) the glasses at positions (H,W,2) of the picture."""
        places = cv2.transform(positions, self.matrix).astype(np.float32)
        return cv2.remap(self.odds, places, None, cv2.INTER_LINEAR)

    def on(
        self, shape_hw: tuple[int, int], scale: float = 1.0, shift: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """(H,W) the glasses over a picture whose positions p are at (p + 0.5) * scale + shift - 0.5 in the result."""
        there = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
        there[:, 2] = 0.5 * scale + shift - 0.5
        back = there @ np.vstack([cv2.invertAffineTransform(self.matrix), (0, 0, 1)])
        return cv2.warpAffine(self.odds, back, shape_hw[::-1])


NONE = Glasses(np.zeros(SIZE[::-1], np.float32), np.eye(2, 3))


def find(picture: np.ndarray, mesh: np.ndarray) -> Glasses:
    """The glasses of a face that wears some, in a picture (H,W,3) uint8."""
    import torch

    matrix = to_patch(mesh)
    piece = torch.from_numpy(patch(picture, matrix)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        odds = torch.sigmoid(_network()(piece))[0, 0].float().numpy()
    low, high = _SEEN
    worn = np.clip((odds - low) / (high - low), 0, 1)
    # What a lens mirrors leaves holes, and frames fade in places.
    worn = cv2.morphologyEx(worn, cv2.MORPH_CLOSE, disc(3))
    # A pixel more around: what is left of a frame's edge is seen as a line.
    return Glasses(cv2.dilate(worn, disc(1)), matrix)
