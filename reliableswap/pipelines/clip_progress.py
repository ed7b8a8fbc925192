"""What a run on a clip yields: its progress, and the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .overlap import Busy

Stage = Literal["find", "check", "swap", "join"]


@dataclass(frozen=True)
class VideoProgress:
    """How far a run is. frame, frames: done and total in this stage; frames is None if the length is not known.

    seconds_left: until the stage ends, None at its beginning. seconds: how long each part of the work was busy; parts
    overlap.
    """

    stage: Stage
    frame: int
    frames: int | None
    seconds_left: float | None
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class VideoResult:
    """The finished clip, and a report of plain values, ready for JSON."""

    path: Path
    report: Mapping[str, Any]


class Clock:
    """Makes progress reports with the time left."""

    def __init__(self, busy: Busy) -> None:
        self.busy, self._stage, self._began, self._first = busy, "", 0.0, 0

    def __call__(self, stage: Stage, frame: int, frames: int | None) -> VideoProgress:
        now = time.perf_counter()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, frame
        done = frame - self._first
        left = None if frames is None or not done else round((now - self._began) / done * (frames - frame), 1)
        return VideoProgress(stage, frame, frames, left, self.busy.rounded())
