"""Reuse the scores of views: one that hardly changed needs no second run of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_SIDE, _BLOCK = 64, 8  # pixels of the reduced copies that are compared, and of the blocks in them
# Views are alike if their grey levels differ by no more than this: on average, and in every block.
_MEAN, _IN_BLOCK = 5.0, 20.0
HARMLESS = 0.2  # only scores below this are reused
_MAX_REUSES = 4  # times in a row


@dataclass(frozen=True, eq=False)
class Reduced:
    """A view, small enough to keep and to compare."""

    pixels: np.ndarray

    @classmethod
    def of(cls, view: np.ndarray) -> Reduced:
        """Reduce a view (H,W,3) uint8."""
        # For a large view 256x256 samples are enough, which read only part of its pixels.
        samples = cv2.resize(view, (4 * _SIDE, 4 * _SIDE), interpolation=cv2.INTER_LINEAR)
        return cls(cv2.resize(samples, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.int16))

    def alike(self, other: Reduced) -> bool:
        """Whether the two show the same: no part of them differs much."""
        far = np.abs(self.pixels - other.pixels).mean(2, dtype=np.float32)
        blocks = far.reshape(_SIDE // _BLOCK, _BLOCK, _SIDE // _BLOCK, _BLOCK).mean((1, 3))
        return bool(blocks.mean() <= _MEAN and blocks.max() <= _IN_BLOCK)


def alike(view: np.ndarray, other: np.ndarray) -> bool:
    """Whether two views (H,W,3) uint8 show the same: no part of them differs much."""
    return Reduced.of(view).alike(Reduced.of(other))


@dataclass(eq=False)
class CachedScore:
    """The score of a view, and how often it was reused since."""

    view: Reduced
    score: float
    used: int = 0

    def holds_for(self, view: Reduced) -> bool:
        """Whether the score holds for a view, which counts as one more use; NaN never holds."""
        if not (self.score < HARMLESS and self.used < _MAX_REUSES and self.view.alike(view)):
            return False
        self.used += 1
        return True


class ScoreCache:
    """The last answers about a clip's views, by their number: the whole frame, then each face's surroundings."""

    def __init__(self) -> None:
        self._scores: dict[int, CachedScore] = {}

    def score(
        self,
        number: int,
        view: np.ndarray,
        run_network: Callable[[np.ndarray], float],
        harmless: np.ndarray | None = None,
    ) -> float:
        """Return the score of a view (H,W,3) uint8; run the network only if no earlier answer holds.

        harmless: the view before the swap, if the network found that harmless.
        """
        reduced = Reduced.of(view)
        if harmless is not None and reduced.alike(Reduced.of(harmless)):
            return 0.0
        last = self._scores.get(number)
        if last is not None and last.holds_for(reduced):
            return last.score
        score = run_network(view)
        self._scores[number] = CachedScore(reduced, score)
        return score
