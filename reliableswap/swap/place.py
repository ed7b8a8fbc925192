"""Where the generator's crop lies in the target's region: worked out once for each face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from reliableswap.faces.align import inverse
from reliableswap.geometry.regions import window
from reliableswap.models.layer_maps import SIDE
from reliableswap.models.mixture import LARGEST
from reliableswap.runtime.arrays import ArrayGenerator

from .subject import Subject

ENOUGH = 0.75  # crop pixels for one photo pixel from which on a crop holds all that the photo shows

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class CropPlace:
    """The generator's crop of one face.

    size: its side. template: its name. matrix (2,3): from the region to the crop. back (2,3): from the crop to its
    window. window: rows and columns of the region that it reaches. holds_all: whether it is as fine as the photo.
    """

    size: int
    template: str
    matrix: np.ndarray
    back: np.ndarray
    window: Window
    holds_all: bool

    @classmethod
    def of(cls, target: Subject, generator: ArrayGenerator) -> CropPlace:
        """The crop's side is the smallest of the generator's sizes that holds all the photo shows, or its largest.

        A layered generator's crop need not hold it: what is fine is read in the photos themselves.
        """
        config = generator.config
        template = str(config["template"])
        for size in (SIDE, LARGEST) if config.get("layers") else generator.sizes:
            matrix = target.crop_matrix(size, template)
            holds_all = float(np.hypot(matrix[0, 0], matrix[1, 0])) >= ENOUGH
            if holds_all:
                break
        back = inverse(matrix)
        corners = np.array([[[0, 0], [size, 0], [0, size], [size, size]]], np.float64) - 0.5
        where = window(cv2.transform(corners, back)[0], target.shape, 1)
        back[:, 2] -= where[1].start, where[0].start
        return cls(size, template, matrix, back, where, holds_all)
