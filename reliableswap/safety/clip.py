"""The gates over a clip: single looks add up, so that one doubtful frame neither refuses nor lets through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from reliableswap.errors import RefusedError

from .age import SeenFace, age_nets
from .gates import Gates, Source
from .nudity import around, nudity_net
from .track import AgeTrack, NudityTrack

LOOKS = 5  # at each face's age, spread over its track


class ClipGates:
    """Refuses a clip for nudity, sources and faces that may be minors'. name: of the clip, in refusals."""

    def __init__(self, gates: Gates, name: str) -> None:
        self._gates, self._name = gates, name
        self._target, self._result = NudityTrack(), NudityTrack()
        self._tracks: dict[int, AgeTrack] = {}
        self._people: dict[int, AgeTrack] = {}
        self._person_of: dict[int, int] = {}
        gates.counts["targets"] += 1

    def check_sources(self, sources: Iterable[Source]) -> None:
        """Raise RefusedError for a source that may be a minor."""
        for source in sources:
            if any(self._gates.may_be_minor(subject) for subject in source.subjects):
                raise self._gates.refusal(
                    "age", f"the swap was refused: {_minor(f'the face in {source.name}')}"
                )

    def score(self, pixels: np.ndarray, boxes: Sequence[np.ndarray]) -> float:
        """The highest score of nudity of a frame (H,W,3) uint8, as a whole and around each face's box (4,)."""
        with self._gates.refusing("nudity"), ThreadPoolExecutor(2) as pool:
            views = [pixels, *(around(pixels, box) for box in boxes)]
            scores = list(pool.map(nudity_net().score, views))
        return float("nan") if any(not score <= 1 for score in scores) else max(scores)

    def add_target(self, score: float) -> None:
        """Take a look at the target, in the order of time; raise RefusedError where the looks add up to nudity."""
        if self._target.add(score):
            raise self._gates.refusal("nudity", f"the swap was refused: {self._name} seems to show nudity")

    def add_result(self, score: float) -> None:
        """Take a look at the result, in the order of time."""
        if self._result.add(score):
            text = f"the result was refused: the swap into {self._name} seems to show nudity"
            raise self._gates.refusal("nudity", text)

    def add_face(self, track: int, person: int, seen: SeenFace) -> None:
        """Look at the age of a face of a track."""
        with self._gates.refusing("age"):
            estimate = age_nets().estimate(seen)
        self._tracks.setdefault(track, AgeTrack()).add(estimate)
        self._people.setdefault(person, AgeTrack()).add(estimate)
        self._person_of[track] = person

    def refused_tracks(self, tracks: Iterable[int]) -> dict[int, RefusedError]:
        """The tracks whose face may be a minor's, by their own looks or by all of their person; unseen ones too."""
        refused = {}
        for track in tracks:
            person = self._person_of.get(track)
            own = self._tracks.get(track, AgeTrack()).may_be_minor
            if own or person is None or self._people[person].may_be_minor:
                who = "a face" if person is None else f"person {person}"
                text = f"the swap was refused: {_minor(f'{who} in {self._name}')}"
                refused[track] = self._gates.refusal("age", text)
        return refused

    def passed(self) -> None:
        """Count a finished result."""
        self._gates.counts["results"] += 1


def _minor(who: str) -> str:
    return f"{who} may be that of a person under 18"
