"""The mark in the frames of a clip: the same waves in every frame, with a strength that is updated every few frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .carriers import FULL_AREA, PERIOD, amplitudes, superpose
from .codec import encode
from .evidence import luminance
from .lattice import SMALLEST_SIDE
from .protocol import Box
from .write import dither, wave_strength

FRAMES_PER_STRENGTH = 6  # frames for which one strength is used


class MovingMark:
    """Compute the change that marks a frame of one size. An earlier mark is not removed: look for it first."""

    def __init__(self, payload: int, height: int, width: int) -> None:
        self.fits = min(height, width) >= SMALLEST_SIDE
        self._zoom = max(1.0, float(np.sqrt(height * width / FULL_AREA)))
        self._count, self._change = 0, np.zeros((0, 0), np.float32)
        if self.fits:
            self._waves = superpose(amplitudes(encode(payload)), height, width, PERIOD * self._zoom)
            self._noise = dither(height, width)

    def change(self, pixels: np.ndarray, faces: Sequence[Box] = ()) -> np.ndarray | None:
        """(H,W) float32 grey levels to add to a frame (H,W,3) uint8, the next in order; None for small frames.

        Return the same array as long as the change is the same.
        """
        if not self.fits:
            return None
        if self._count % FRAMES_PER_STRENGTH == 0:
            strength = wave_strength(luminance(np.ascontiguousarray(pixels)), faces, self._zoom)
            self._change = strength * self._waves + self._noise
        self._count += 1
        return self._change

    def restart(self) -> None:
        """Compute the strength anew at the next frame, so that a segment does not depend on those before."""
        self._count = 0
