"""Swap the face of a live picture, frame by frame: no report, and slow network outputs are reused while they hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from reliableswap.errors import RefusedError, ReliableSwapError
from reliableswap.faces.face import Face
from reliableswap.faces.track import SteadyCovers
from reliableswap.faces.track.live import LiveFollower
from reliableswap.provenance.clip import ClipMark
from reliableswap.provenance.label import FrameLabel
from reliableswap.provenance.record import Record
from reliableswap.safety.consent import Consent
from reliableswap.safety.live import LiveGates
from reliableswap.swap.engines import engine_of, run, steps_of
from reliableswap.swap.job import FaceJob
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings
from reliableswap.swap.subject import Subject

from .inputs import Source
from .options import Engine
from .people import person_of
from .trained import for_engine

if TYPE_CHECKING:
    from .calls import SwapCalls

_NAME = "the live picture"
_VECTORS_EVERY = 1.0  # seconds for which the vectors of the face in the picture are reused


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """pixels (H,W,3) uint8 with label and watermark; None while the gates hold the picture back.

    face: whether one is there. swapped: whether it was swapped; if not, failed may say why.
    """

    pixels: np.ndarray | None
    face: bool
    swapped: bool
    failed: str = ""


@dataclass(eq=False)
class _Vectors:
    """The encoders' vectors of the face in the picture, kept for a while."""

    track: int
    time: float
    values: dict[str, Any]


class LiveSwap:
    """Puts a source, prepared once, on the largest face of frames that come one after the other.

    record: the provenance record of all frames; its payload is in their watermark.
    The whole frame is searched only now and then; otherwise the face's mesh is read near its last position. Every
    output frame says "Made by AI", and carries the watermark. The gates check frames as they do in clips.
    """

    def __init__(
        self,
        pipe: SwapCalls,
        source: Source,
        *,
        engine: Engine = "auto",
        settings: SwapSettings | None = None,
        consent: str | Consent,
    ) -> None:
        """Prepare the source; raise RefusedError if it may be a minor. consent: who agreed to what."""
        self._settings, self._networks = settings or SwapSettings(), pipe.networks()
        self._gates = LiveGates(pipe.safety, _NAME)
        self._person: Person = for_engine(person_of(source, self._networks, pipe.analyser), engine)
        name = engine_of(self._person, pipe.choose_engine(engine))
        self._engine = steps_of(name, self._networks)
        self._gates.check_sources([self._person])
        stated = Consent.of(consent)
        self.record = Record(
            sources=list(self._person.origins),
            engine=name,
            settings=asdict(self._settings),
            networks=pipe.checksums(),
            consent=None if stated is None else asdict(stated),
        )
        self._follower, self._covers = LiveFollower(self._networks), SteadyCovers()
        self._vectors: _Vectors | None = None
        self._size: tuple[int, int] | None = None
        self._track = self._frame = 0
        self._refused: RefusedError | None = None

    def __call__(self, pixels: np.ndarray, time: float) -> LiveFrame:
        """Swap a frame (H,W,3) uint8 at a time in seconds. After a RefusedError every call raises it again."""
        if self._refused is not None:
            raise self._refused
        try:
            return self._swapped(pixels, time)
        except RefusedError as error:
            self._refused = error
            raise

    def close(self) -> None:
        """End the gates' thread."""
        self._gates.close()

    def _swapped(self, pixels: np.ndarray, time: float) -> LiveFrame:
        self._use_size(pixels)
        self._frame += 1
        face = self._follower(pixels, time)
        new = face is not None and self._follower.track != self._track
        self._track = self._follower.track
        boxes = [] if face is None else [face.box]
        shown = self._gates.look(pixels, boxes, time, new)
        out, failed = pixels.copy(), ""
        if face is not None:
            try:
                subject = self._subject(pixels, face, time)
                if shown and self._gates.sees_adult:
                    self._put_on(subject, out)
                shown = shown and self._gates.sees_adult
            except RefusedError:
                raise
            except ReliableSwapError as error:
                failed = str(error)
        if not shown or not self._gates.look_at_result(out, boxes, new):
            return LiveFrame(None, face is not None, False, failed)
        marked = self._marked(out, boxes)
        return LiveFrame(marked, face is not None, face is not None and not failed, failed)

    def _use_size(self, pixels: np.ndarray) -> None:
        """Start over if frames have another size than before."""
        height, width = pixels.shape[:2]
        if self._size == (height, width):
            return
        self._size = height, width
        self._label = FrameLabel(height, width)
        self._mark = ClipMark(self.record, height, width)
        self._follower = LiveFollower(self._networks)
        self._follower.track = self._track  # numbers are not used twice

    def _subject(self, pixels: np.ndarray, face: Face, time: float) -> Subject:
        """Return the face with its vectors and covers; let the gates check its age when a look is due."""
        subject = Subject.around(pixels, face, _NAME, self._networks)
        if self._gates.age_due(self._track, time):
            self._gates.add_face(subject)
        known = self._vectors
        if known is not None and known.track == self._track and time - known.time < _VECTORS_EVERY:
            subject = subject.with_results(**known.values)
        elif self._networks.identity is not None:
            self._vectors = _Vectors(self._track, time, {"v_id": subject.v_id, "v_fix": subject.v_fix})
        glasses, parts = self._networks.glasses, subject.parts
        covers = self._covers(self._track, self._frame, subject.pixels, subject.mesh, glasses, parts)
        return subject.with_results(covers=covers)

    def _put_on(self, subject: Subject, out: np.ndarray) -> None:
        job = run(
            self._engine, FaceJob.start(subject, self._person, self._settings, self._networks, quick=True)
        )
        subject.put_back(out, job.image, job.mask)

    def _marked(self, pixels: np.ndarray, boxes: list[np.ndarray]) -> np.ndarray:
        """Return a copy with the watermark and the label: the gates may still be reading the frame itself."""
        change, _ = self._mark.change(pixels, [box.tolist() for box in boxes])
        marked = pixels.copy()
        if change is not None:
            marked = cv2.add(pixels, cv2.merge([change] * 3), dtype=cv2.CV_8U)
        self._label.draw(marked)
        return marked
