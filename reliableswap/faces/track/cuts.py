"""Detect the cuts of a clip, frame by frame."""

from __future__ import annotations

import cv2
import numpy as np

_SIZE = (48, 27)
_BINS = 6
# At a cut: the share of pixels whose colours change, and the mean difference of pixels in levels of 255.
_COLOURS, _PLACES = 0.45, 14.0
_TIMES = 3.0  # a cut's difference over the largest of the frames before


class CutFinder:
    """Decides for each frame whether it begins a new shot: histogram and pixels both change, far more than just before.

    A histogram alone misses cuts between similar scenes; pixel differences alone take a fast pan or a flash for a cut.
    """

    def __init__(self) -> None:
        self._small: np.ndarray | None = None
        self._colours: np.ndarray | None = None
        self._recent: list[float] = []

    def __call__(self, frame: np.ndarray) -> bool:
        """Whether a frame (H,W,3) uint8 begins a shot; the first one does."""
        step = max(1, min(frame.shape[0] // _SIZE[1], frame.shape[1] // _SIZE[0]) // 4)
        small = cv2.resize(frame[::step, ::step], _SIZE, interpolation=cv2.INTER_AREA)
        colours = (
            cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3).ravel() / small[..., 0].size
        )
        before, known = self._small, self._colours
        self._small, self._colours = small, colours
        if before is None or known is None:
            return True
        moved = float(np.abs(small.astype(np.int16) - before).mean())
        changed = 1 - float(np.minimum(colours, known).sum())
        usual = max(self._recent, default=0.0)
        self._recent = [*self._recent[-7:], moved]
        cut = changed > _COLOURS and moved > _PLACES and moved > _TIMES * usual
        if not cut and moved > 3 * _PLACES and moved > _TIMES * usual:
            cut = True  # a different picture in the same colours
        if cut:
            self._recent = []
        return cut
