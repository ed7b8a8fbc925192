"""Pictures without faces, as negatives for the detector and the mesh network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reliableswap.data.photos import list_photos
from reliableswap.imaging.degrade import Rng
from reliableswap.media import read_picture

_LONGEST = 1600  # px; larger pictures are shrunk when they are read


class Backgrounds:
    """Pieces of any size, rotated and mirrored, of a folder's pictures, which show no face."""

    def __init__(self, folder: Path) -> None:
        self.pictures = [self._read(photo.path) for photo in list_photos(folder)]

    @staticmethod
    def _read(path: Path) -> np.ndarray:
        picture = read_picture(path).pixels
        scale = min(1.0, _LONGEST / max(picture.shape[:2]))
        if scale == 1:
            return picture
        return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

    def piece(self, rng: Rng, size: int) -> np.ndarray:
        """(size,size,3) uint8 a square piece, from a few enlarged pixels to a whole picture."""
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        shorter = min(picture.shape[:2])
        side = int(np.exp(rng.uniform(np.log(min(size / 4, shorter)), np.log(shorter))))
        y, x = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
        piece = picture[y : y + side, x : x + side]
        shrink = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        piece = cv2.resize(piece, (size, size), interpolation=shrink)
        piece = np.rot90(piece, int(rng.integers(0, 4)))
        return np.ascontiguousarray(piece[:, ::-1] if rng.random() < 0.5 else piece)
