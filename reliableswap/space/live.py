"""The webcam of one browser tab: the source is prepared once, then frame after frame is swapped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from reliableswap.errors import RefusedError, ReliableSwapError
from reliableswap.pipelines.image import Engine
from reliableswap.pipelines.live import LiveFrame, LiveSwap

from .consent import NOTE, require_consent
from .events import one_line
from .files import File, read_upload, uploaded_path
from .frames import decode_frame, encode_frame
from .inputs import check_engine
from .work import Worker

_MAX_PAUSE = 3.0  # seconds without a frame after which a stream counts as a new one
_RATE_WINDOW = 2.0  # seconds over which the frame rate is measured


@dataclass(frozen=True)
class Shown:
    """What the page shows for a frame. picture: a `data:` address, or None. status: the state, and the frame rate."""

    picture: str | None
    status: str


class LiveSession:
    """A browser tab's stream of webcam frames with one source.

    It is over when another source or engine is chosen, or when frames pause after a refusal or a bad source.
    """

    def __init__(
        self, worker: Worker, source: File | None, engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        check_engine(engine)
        self._key = _key(source, engine)
        self._prepare = lambda: worker.live(read_upload(source, "source photo"), engine)
        self._clock, self._last = clock, clock()
        self._done: deque[tuple[float, float]] = deque()
        self._ended = ""  # why nothing more is shown
        self._swap: LiveSwap | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is shown."""
        return bool(self._ended)

    def serves(self, source: File | None, engine: Engine) -> bool:
        """Whether frames with this source and engine belong to this session."""
        over = self._ended and self._clock() - self._last > _MAX_PAUSE
        return self._key == _key(source, engine) and not over

    def __call__(self, frame: object, agreed: object) -> Shown:
        """Swap a frame, a `data:` address; nothing is opened without consent.

        Raise RefusedError once; from then on nothing is shown.
        """
        begin = self._clock()
        try:
            require_consent(agreed)
            if self._ended:
                return Shown(None, self._ended)
            pixels = decode_frame(frame)
            made = self._prepared()(pixels, begin)
        except RefusedError as error:
            self._end(error)
            raise
        finally:
            self._last = self._clock()
        picture = None if made.pixels is None else encode_frame(made.pixels)
        self._last = self._clock()
        return Shown(picture, self._status(made, begin))

    def _prepared(self) -> LiveSwap:
        """Return the source, prepared at the first frame. A source that can't be used is not tried again."""
        if self._swap is None:
            try:
                self._swap = self._prepare()
            except ReliableSwapError as error:
                self._end(error)
                raise
        return self._swap

    def _end(self, error: ReliableSwapError) -> None:
        self._ended = one_line(error)
        self.close()

    def close(self) -> None:
        """Release the source."""
        if self._swap is not None:
            self._swap.close()
            self._swap = None

    def _status(self, made: LiveFrame, begin: float) -> str:
        if made.pixels is None:
            return "Checking the picture before it is shown."
        self._done.append((begin, self._last))
        while len(self._done) > 2 and self._last - self._done[0][1] > _RATE_WINDOW:
            self._done.popleft()
        state = f"**{NOTE}.**" if made.swapped else made.failed or "No face in sight."
        if len(self._done) < 2:
            return state
        rate = (len(self._done) - 1) / max(self._done[-1][1] - self._done[0][1], 1e-6)
        needed = sum(end - start for start, end in self._done) / len(self._done)
        return f"{state} {rate:.1f} frames a second, {1000 * needed:.0f} ms each."


def _key(source: File | None, engine: Engine) -> tuple[str, Engine]:
    return str(uploaded_path(source, "source photo")), engine
