"""Where the generator's crop lies in the target's region, computed once per face."""

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

MIN_CROP_SCALE = 0.75  # crop pixels per photo pixel from which a crop holds all of the photo's detail

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class CropPlace:
    """The generator's crop of one face.

    size: its side. template: the template's name. matrix (2,3): from the region to the crop. back (2,3): from the crop
    to its window. window: rows and columns of the region that it spans. holds_all_detail: whether the generator sees
    all of the photo's detail.
    """

    size: int
    template: str
    matrix: np.ndarray
    back: np.ndarray
    window: Window
    holds_all_detail: bool

    @property
    def scale(self) -> float:
        """Crop pixels per pixel of the region."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @classmethod
    def of(cls, target: Subject, generator: ArrayGenerator, quick: bool = False) -> CropPlace:
        """Place the crop: its side is the generator's smallest that holds all of the photo's detail, or its largest.

        A layered generator sees 128 px, and fine detail is sampled from the photos themselves. For tones, its crop is
        twice as large if the photo shows finer detail, unless `quick`.
        """
        config = generator.config
        template, layered = str(config["template"]), bool(config.get("layers"))
        for size in (SIDE,) if layered else generator.sizes:
            matrix = target.crop_matrix(size, template)
            holds_all_detail = float(np.hypot(matrix[0, 0], matrix[1, 0])) >= MIN_CROP_SCALE
            if holds_all_detail:
                break
        if layered and not holds_all_detail and not quick:
            size = LARGEST
            matrix = target.crop_matrix(size, template)
        back = inverse(matrix)
        corners = np.array([[[0, 0], [size, 0], [0, size], [size, size]]], np.float64) - 0.5
        where = window(cv2.transform(corners, back)[0], target.shape, 1)
        back[:, 2] -= where[1].start, where[0].start
        return cls(size, template, matrix, back, where, holds_all_detail)
