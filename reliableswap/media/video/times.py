"""The timestamps of a range of a clip's frames."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from reliableswap.media.atomic import atomic_file


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """pts (N,) int64, rising, in `time_base`; last: the last frame's duration in the same unit."""

    pts: np.ndarray
    last: int
    time_base: Fraction

    def __len__(self) -> int:
        return len(self.pts)

    def durations(self) -> np.ndarray:
        """(N,) int64, the time from each frame to the next."""
        return np.append(np.diff(self.pts), self.last)

    def seconds(self, number: int) -> float:
        """A frame's time after the first, in seconds."""
        return float(int(self.pts[number] - self.pts[0]) * self.time_base)

    @property
    def end(self) -> int:
        """The timestamp at which the last frame ends."""
        return int(self.pts[-1]) + self.last

    @cached_property
    def variable(self) -> bool:
        """Whether frame durations differ by more than the rounding of timestamps."""
        steps = np.diff(self.pts)
        return bool(len(steps) and steps.max() - steps.min() > 1)

    def part(self, first: int, end: int) -> FrameTimes:
        """The times of frames first to end - 1."""
        return FrameTimes(self.pts[first:end], int(self.durations()[end - 1]), self.time_base)

    def number_at(self, pts: int) -> int:
        """The number of the first frame at or after a timestamp."""
        return bisect.bisect_left(self.pts, pts)

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        with atomic_file(path, overwrite=True) as stream:
            base = [self.last, self.time_base.numerator, self.time_base.denominator]
            np.savez(stream, pts=self.pts, base=np.array(base, np.int64))

    @classmethod
    def load(cls, path: Path) -> FrameTimes:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            last, numerator, denominator = (int(value) for value in stored["base"])
            return cls(stored["pts"].astype(np.int64), last, Fraction(numerator, denominator))


def times_of(pts: Sequence[int], last: int, time_base: Fraction) -> FrameTimes:
    """Make the FrameTimes of frames that were read."""
    return FrameTimes(np.array(pts, np.int64), max(1, last), time_base)
