"""What stays the same, or changes slowly, while a clip is swapped frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reliableswap.faces.track import SteadyCovers, TrackedFace, TrackSmoother
from reliableswap.swap.job import Steady
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import mean_direction
from reliableswap.swap.subject import Subject

# Frames that count, and after how many a frame counts half. A hand that comes must not wait: covers are quick.
_STEPS = {"expression": (6, 1.5), "cover": (3, 0.7)}


class ClipSteady:
    """Steadies along each track what covers the face and what the engine's steps decide.

    It wants the frames in their order. What it answers depends on the `run_up` frames before and on nothing older, so
    whoever begins in the middle of a clip and swaps those first goes on as if the whole clip had been swapped.
    """

    def __init__(self) -> None:
        self._covers = SteadyCovers()
        self._steps: dict[tuple[str, tuple[int, ...]], TrackSmoother] = {}
        # What is decided follows from what was steadied before, so the windows add up.
        self.run_up = sum(
            window - 1 for window in (self._covers.window, *(one for one, _ in _STEPS.values()))
        )

    def subject(self, subject: Subject, one: TrackedFace, networks: Networks) -> Subject:
        """A face with its steadied covers, from its region as the clip shows it, without swaps."""
        pixels, mesh = subject.pixels, subject.mesh
        covers = self._covers(one.track, one.frame, pixels, mesh, networks.glasses, subject.parts)
        return subject.knowing(covers=covers)

    def of(self, one: TrackedFace) -> Steady:
        """What a FaceJob of that face steadies its decisions with."""

        def steadied(name: str, value: np.ndarray) -> np.ndarray:
            key = name, value.shape  # crops change their size
            smoother = self._steps.setdefault(key, TrackSmoother(*_STEPS[name]))
            return smoother(one.track, one.frame, value)

        return steadied


@dataclass(frozen=True, eq=False)
class TargetVectors:
    """What the encoders say of the people of a clip: one answer for all frames, the mean over looks."""

    _found: dict[int, list[tuple[np.ndarray, np.ndarray | None]]] = field(default_factory=dict)

    def add(self, person: int, subject: Subject) -> None:
        """Take a look at a person."""
        self._found.setdefault(person, []).append((subject.v_id, subject.v_fix))

    def on(self, subject: Subject, person: int) -> Subject:
        """The face with its person's vectors; a person who was never looked at keeps the face's own."""
        found = self._found.get(person)
        if not found:
            return subject
        fixed = [v_fix for _, v_fix in found if v_fix is not None]
        return subject.knowing(
            v_id=mean_direction([v_id for v_id, _ in found]),
            v_fix=mean_direction(fixed) if fixed else None,
        )
