"""Smooth an engine's per-frame results along a track: numbers, masks and yes-or-no decisions.

Each class here remembers only the last `window` frames of a track. So processing may start in the middle of a clip and
give the same results as from the start, if the `window - 1` frames before are fed in first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import similarity

Value = TypeVar("Value")


@dataclass(eq=False)
class _Memory(Generic[Value]):
    """The values from the last `window` frames of each track, the newest last."""

    window: int
    tracks: dict[int, deque[tuple[int, Value]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ReliableSwapError(f"window is {self.window}; give at least 1")

    def add(self, track: int, frame: int, value: Value) -> list[tuple[int, Value]]:
        """Add a frame's value, and return the values within the window with their ages in frames, the newest last."""
        kept = self.tracks.setdefault(track, deque(maxlen=self.window))
        while kept and not frame - self.window < kept[0][0] < frame:
            kept.popleft()
        if kept and kept[-1][0] >= frame:
            kept.clear()  # the caller went back in the clip
        kept.append((frame, value))
        for old in [one for one, values in self.tracks.items() if abs(frame - values[-1][0]) > self.window]:
            del self.tracks[old]
        return [(frame - number, one) for number, one in kept]


class Hysteresis:
    """A yes-or-no decision along a track, such as whether glasses are worn.

    It becomes yes after `count` consecutive values of at least `enter`, and no after as many below `leave`. The first
    value decides by the midpoint of the two.
    """

    def __init__(self, enter: float, leave: float, *, count: int = 2, window: int = 25) -> None:
        if not leave <= enter:
            raise ReliableSwapError(f"leave is {leave} and enter is {enter}; give leave <= enter")
        if not 1 <= count <= window:
            raise ReliableSwapError(f"count is {count}; give 1 to {window}, the length of the window")
        self.enter, self.leave, self.count = enter, leave, count
        self._memory: _Memory[float] = _Memory(window)

    def __call__(self, track: int, frame: int, value: float) -> bool:
        """Take the value of a track's next frame, and return the decision."""
        values = [one for _, one in self._memory.add(track, frame, value)]
        decided = values[0] >= (self.enter + self.leave) / 2
        against = 0
        for one in values[1:]:
            changes = one < self.leave if decided else one >= self.enter
            against = against + 1 if changes else 0
            if against >= self.count:
                decided, against = not decided, 0
        return decided


class TrackSmoother:
    """Numbers along a track, such as colour statistics: a mean over the last frames, the newest weighing most."""

    def __init__(self, window: int = 8, half_life: float = 2.0) -> None:
        self.half_life = half_life
        self._memory: _Memory[np.ndarray] = _Memory(window)

    def __call__(self, track: int, frame: int, value: np.ndarray | float) -> np.ndarray:
        """Take the values (...) of a track's next frame, always of the same shape, and return their mean."""
        kept = self._memory.add(track, frame, np.asarray(value, np.float32))
        weights = _weights([age for age, _ in kept], self.half_life)
        return np.asarray(np.einsum("n,n...->...", weights, np.stack([one for _, one in kept])), np.float32)


class MaskSmoother:
    """Masks along a track: a mean over the last frames, with earlier masks aligned to the face's present points."""

    def __init__(self, window: int = 4, half_life: float = 1.0) -> None:
        self.half_life = half_life
        self._memory: _Memory[tuple[np.ndarray, np.ndarray]] = _Memory(window)

    def __call__(self, track: int, frame: int, mask: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(H,W) float32 the mean of a mask (H,W) in 0..1 and those before; points (N,2): the face's, in mask pixels.

        Several masks may be stacked (H,W,C). The masks of a track may differ in size, as regions around a face do.
        """
        kept = self._memory.add(track, frame, (mask.astype(np.float32), np.asarray(points, np.float64)))
        weights = _weights([age for age, _ in kept], self.half_life)
        height, width = mask.shape[:2]
        total = weights[-1] * mask.astype(np.float32)
        for weight, (_, (earlier, where)) in zip(weights[:-1], kept[:-1], strict=True):
            matrix = similarity(where, points)
            total += weight * cv2.warpAffine(
                earlier, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        return np.asarray(total, np.float32)


def _weights(ages: list[int], half_life: float) -> np.ndarray:
    weights = 0.5 ** (np.array(ages) / half_life)
    return np.asarray(weights / weights.sum(), np.float32)
