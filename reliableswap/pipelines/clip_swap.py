"""Swap the faces of a clip, one frame after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol, TypeVar

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.track import TrackedFace
from reliableswap.provenance.label import FrameLabel
from reliableswap.swap.engines import Step, engine_of, run, stages_of, steps_of
from reliableswap.swap.job import FaceJob
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import MARGIN, Subject

from .clip_steady import ClipSteady, TargetVectors

Box = tuple[int, int, int, int]


class _Numbered(Protocol):
    @property
    def track(self) -> int: ...

    @property
    def person(self) -> int: ...


Numbered = TypeVar("Numbered", bound=_Numbered)


@dataclass(eq=False)
class SwappedFrame:
    """pixels (H,W,3) uint8. changed: where they differ from the frame. people: who was swapped, with their boxes."""

    pixels: np.ndarray
    changed: list[Box] = field(default_factory=list)
    people: dict[int, np.ndarray] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, label: FrameLabel) -> None:
        """Draw the visible label."""
        if not self.changed:  # the pixels are the clip's own
            self.pixels = self.pixels.copy()
        label.draw(self.pixels)
        self.changed.append(label.box)


@dataclass(frozen=True, eq=False)
class BegunFace:
    """A face of a frame, processed as far as it can be on its own. job: None if its region touches another face's.

    error: why it can't be swapped.
    """

    one: TrackedFace
    subject: Subject | None = None
    job: FaceJob | None = None
    error: str = ""


@dataclass(frozen=True, eq=False)
class FrameSwapper:
    """Puts people's sources on their faces; frames must come in order.

    sources: by the person's number in the clip. steady: smooths over time; None swaps every frame on its own. refused:
    tracks left alone. vectors: of the people in the clip.
    """

    name: str
    sources: Mapping[int, Person]
    engine: str
    settings: SwapSettings
    networks: Networks
    steady: ClipSteady | None = None
    refused: frozenset[int] = frozenset()
    vectors: TargetVectors = field(default_factory=TargetVectors)

    @property
    def run_up(self) -> int:
        """How many frames to swap before a frame so that its result does not depend on where swapping began."""
        return 0 if self.steady is None else self.steady.run_up

    @property
    def uses_vectors(self) -> bool:
        """Whether the engine uses the target's vectors."""
        return self.engine == "neural"

    @property
    def age_change(self) -> float:
        """The years by which faces are made older."""
        return self.settings.age * self.settings.likeness

    def swap_single(self, subject: Subject, person: int) -> Subject:
        """Return a person's face after the swap, from one frame alone."""
        source = self.sources[person]
        job = FaceJob.start(subject, source, self.settings, self.networks)
        return replace(
            subject, pixels=run(steps_of(engine_of(source, self.engine), self.networks), job).image
        )

    def wanted(self, faces: Iterable[Numbered]) -> list[Numbered]:
        """Return the faces to be swapped."""
        return [one for one in faces if one.person in self.sources and one.track not in self.refused]

    def begin(self, pixels: np.ndarray, faces: Iterable[TrackedFace]) -> list[BegunFace]:
        """Run the first part of a frame's swap; frames must come in order."""
        wanted = self.wanted(faces)
        return [self._begun(pixels, one, wanted) for one in wanted]

    def draw(self, begun: Iterable[BegunFace]) -> list[BegunFace]:
        """Run the second part of a frame's swap; frames must come in order."""
        return [self._drawn(face) for face in begun]

    def __call__(
        self, pixels: np.ndarray, faces: Iterable[TrackedFace], begun: Iterable[BegunFace] | None = None
    ) -> SwappedFrame:
        """Swap the faces of a frame (H,W,3) uint8; one that can't be swapped is left alone and counted.

        begun: what `begin` and `draw` returned for the frame.
        """
        result = SwappedFrame(pixels)
        for face in self.draw(self.begin(pixels, faces)) if begun is None else begun:
            try:
                self._finish(result, face)
            except ReliableSwapError as error:
                result.failed[str(error)] += 1
        return result

    def _begun(self, pixels: np.ndarray, one: TrackedFace, wanted: list[TrackedFace]) -> BegunFace:
        try:
            subject = Subject.around(pixels, one.face, self.name, self.networks)
            # Find covers before any swap: a swapped face nearby must not change them.
            if self.steady is not None:
                subject = self.steady.subject(subject, one, self.networks)
            if any(_touches(subject, other) for other in wanted if other is not one):
                return BegunFace(one, subject)
            subject = self._with_vectors(subject, one)
            return BegunFace(one, subject, run(self._parts(one)[0], self._job(subject, one)))
        except ReliableSwapError as error:
            return BegunFace(one, error=str(error))

    def _drawn(self, face: BegunFace) -> BegunFace:
        if face.job is None:
            return face
        try:
            return replace(face, job=run(self._parts(face.one)[1], face.job))
        except ReliableSwapError as error:
            return BegunFace(face.one, error=str(error))

    def _parts(self, one: TrackedFace) -> tuple[tuple[Step, ...], ...]:
        return stages_of(engine_of(self.sources[one.person], self.engine), self.networks)

    def _with_vectors(self, subject: Subject, one: TrackedFace) -> Subject:
        """Return the face with its person's vectors, if the clip is smoothed over time."""
        return subject if self.steady is None else self.vectors.on(subject, one.person)

    def _job(self, subject: Subject, one: TrackedFace) -> FaceJob:
        person = self.sources[one.person]
        steady = None if self.steady is None else self.steady.of(one)
        return FaceJob.start(subject, person, self.settings, self.networks, steady, quick=True)

    def _finish(self, result: SwappedFrame, face: BegunFace) -> None:
        if face.subject is None:
            raise ReliableSwapError(face.error)
        subject, one, job = face.subject, face.one, face.job
        *before, last = self._parts(one)
        if job is None:  # the faces that it touches may have been swapped by now
            seen = Subject.around(result.pixels, one.face, self.name, self.networks)
            subject = self._with_vectors(seen.with_results(covers=subject.covers, parts=subject.parts), one)
            job = run(tuple(chain(*before)), self._job(subject, one))
        job = run(last, job)
        if not result.changed:
            result.pixels = result.pixels.copy()
        subject.put_back(result.pixels, job.image, job.mask)
        result.people[one.person] = one.face.box
        x, y, width, height = cv2.boundingRect((job.mask > 0).astype(np.uint8))
        if not width:
            return
        (left, top), (whole_width, whole_height) = subject.corner, subject.extent
        if job.mask.shape != (whole_height, whole_width):  # a large face was processed at a smaller size
            x, y, width, height = 0, 0, whole_width, whole_height
        result.changed.append((left + x, top + y, left + x + width, top + y + height))


def _touches(subject: Subject, other: TrackedFace) -> bool:
    """Whether the region around a face and that of another one share pixels."""
    (left, top), (width, height) = subject.corner, subject.extent
    low, high = other.face.mesh[:, :2].min(0), other.face.mesh[:, :2].max(0)
    room = MARGIN * (high - low).max() + 2
    x0, y0 = low - room
    x1, y1 = high + room
    return bool(left < x1 and x0 < left + width and top < y1 and y0 < top + height)
