"""What stays constant or changes slowly while a clip is swapped frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reliableswap.faces.track import SteadyCovers, TrackedFace, TrackSmoother
from reliableswap.swap.job import Steady
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import mean_direction
from reliableswap.swap.subject import Subject

# Window and half-life in frames. Covers react faster, because a hand must show as soon as it appears.
_STEPS = {"expression": (6, 1.5), "cover": (3, 0.7)}


class ClipSteady:
    """Smooths the covers of a face and the decisions of the engine's steps over time, along each track.

    Frames must come in order. The output depends on the `run_up` frames before and on nothing older, so a run that
    starts in the middle of a clip gives the same result as a whole run if it swaps those frames first.
    """

    def __init__(self) -> None:
        self._covers = SteadyCovers()
        self._steps: dict[tuple[str, tuple[int, ...]], TrackSmoother] = {}
        # Each decision depends on values that were smoothed before it, so the windows add up.
        self.run_up = sum(
            window - 1 for window in (self._covers.window, *(one for one, _ in _STEPS.values()))
        )

    def subject(self, subject: Subject, one: TrackedFace, networks: Networks) -> Subject:
        """Return a face with its smoothed covers. Its region must be as the clip shows it, without swaps."""
        pixels, mesh = subject.pixels, subject.mesh
        covers = self._covers(one.track, one.frame, pixels, mesh, networks.glasses, subject.parts)
        return subject.with_results(covers=covers)

    def of(self, one: TrackedFace) -> Steady:
        """Return the function with which a FaceJob of that face smooths its decisions."""

        def steadied(name: str, value: np.ndarray) -> np.ndarray:
            key = name, value.shape  # crops change their size
            smoother = self._steps.setdefault(key, TrackSmoother(*_STEPS[name]))
            return smoother(one.track, one.frame, value)

        return steadied


@dataclass(frozen=True, eq=False)
class TargetVectors:
    """The encoders' vectors of the people of a clip: one mean over several looks, used in all frames."""

    _found: dict[int, list[tuple[np.ndarray, np.ndarray | None]]] = field(default_factory=dict)

    def add(self, person: int, subject: Subject) -> None:
        """Add the vectors of one look at a person."""
        self._found.setdefault(person, []).append((subject.v_id, subject.v_fix))

    def on(self, subject: Subject, person: int) -> Subject:
        """Return the face with its person's mean vectors, or with its own if there was no look at the person."""
        found = self._found.get(person)
        if not found:
            return subject
        fixed = [v_fix for _, v_fix in found if v_fix is not None]
        return subject.with_results(
            v_id=mean_direction([v_id for v_id, _ in found]),
            v_fix=mean_direction(fixed) if fixed else None,
        )
