"""Parts: what every pixel of a face shows, told by a VisibilityNet on an upright crop."""

from __future__ import annotations

import numpy as np

from .align import upright
from .face import five_points

SIZE = 128  # side of the crop in pixels
SCALE = 3.4  # the crop's side in distances from eyes to mouth


def to_crop(mesh: np.ndarray, pad: int = 0) -> np.ndarray:
    """(2,3) the similarity from a picture to the crop of the face with that mesh (468,3), `pad` pixels wider."""
    matrix = upright(five_points(mesh), SIZE, SCALE)
    matrix[:, 2] += pad
    return matrix
