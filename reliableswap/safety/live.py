"""The gates of a live picture: they check before anything is shown, and then at intervals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from .age import AgeEstimate, SeenFace, age_nets
from .clip import LOOKS, ClipGates
from .gates import Gates, Source
from .track import ENTER, AgeTrack, LookSchedule

_AGE_EVERY, _NUDITY_EVERY = 3.0, 1.0  # seconds
_MIN_LOOKS = 3  # looks at a new face before it may be refused; it is not shown until they find it adult


class LiveGates:
    """Refuse as `ClipGates` does, for a stream of frames. name: of the picture, in refusals.

    A new face, and a frame after a doubtful one, are checked before they are shown. Other nudity checks run in a
    separate thread and take effect at a later frame, at the latest when the next check is due.
    """

    def __init__(self, gates: Gates, name: str) -> None:
        self._gates, self._clip, self._name = gates, ClipGates(gates, name), name
        self._track: int | None = None
        self._ages: deque[AgeEstimate] = deque(maxlen=LOOKS)
        self._age_looks, self._looks = LookSchedule(_AGE_EVERY), LookSchedule(_NUDITY_EVERY)
        self._pool = ThreadPoolExecutor(1, "gates")
        self._pending: list[tuple[Future[float], Callable[[float], None]]] = []
        self._doubtful = True  # nothing was checked yet
        self._look_at_result = False

    def check_sources(self, sources: Iterable[Source]) -> None:
        """Raise RefusedError for a source that may be a minor."""
        self._clip.check_sources(sources)

    def age_due(self, track: int, time: float) -> bool:
        """Whether it is time to call `add_face`."""
        if track != self._track:
            self._track, self._age_looks = track, LookSchedule(_AGE_EVERY)
            self._ages.clear()
        return len(self._ages) < _MIN_LOOKS or self._age_looks.due(time)

    def add_face(self, seen: SeenFace) -> None:
        """Estimate the age of the current track's face; raise RefusedError if it may be a minor's."""
        with self._gates.refusing("age"):
            self._ages.append(age_nets().estimate(seen))
        if len(self._ages) >= _MIN_LOOKS and not self.sees_adult:
            text = f"the swap was refused: the face in {self._name} may be that of a person under 18"
            raise self._gates.refusal("age", text)

    @property
    def sees_adult(self) -> bool:
        """Whether the looks at the current track so far find an adult; False without any."""
        return not AgeTrack(list(self._ages)).may_be_minor

    def look(self, pixels: np.ndarray, boxes: Sequence[np.ndarray], time: float, new: bool) -> bool:
        """Check a frame (H,W,3) uint8 with its faces' boxes (4,) before the swap; return whether it may be shown.

        new: a face appeared. Raise RefusedError if the looks add up to nudity.
        """
        due = self._looks.due(time, cut=new or self._doubtful)
        self._look_at_result = due
        self._settle(wait=due)
        if due:
            self._submit(pixels, boxes, self._clip.add_target, wait=new or self._doubtful)
        return not self._doubtful

    def look_at_result(self, pixels: np.ndarray, boxes: Sequence[np.ndarray], new: bool) -> bool:
        """Check the swapped frame, which must not be changed afterwards; return whether it may be shown."""
        if self._look_at_result:
            self._submit(pixels, boxes, self._clip.add_result, wait=new)
        return not self._doubtful

    def close(self) -> None:
        """End the thread, and count a finished result."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._clip.passed()

    def _submit(
        self, pixels: np.ndarray, boxes: Sequence[np.ndarray], add: Callable[[float], None], wait: bool
    ) -> None:
        self._pending.append((self._pool.submit(self._clip.score, pixels, boxes, afresh=True), add))
        self._settle(wait)

    def _settle(self, wait: bool) -> None:
        """Apply the results of finished checks in order; with `wait`, wait for all of them."""
        while self._pending and (wait or self._pending[0][0].done()):
            future, add = self._pending.pop(0)
            score = future.result()
            self._doubtful = not score < ENTER
            add(score)
