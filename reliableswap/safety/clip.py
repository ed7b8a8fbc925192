"""The gates over a clip: looks at single frames add up, so that one doubtful frame does not decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from reliableswap.errors import RefusedError

from .age import SeenFace, age_nets
from .gates import Gates, Source, aged_refusal
from .nudity import nudity_net, views_of
from .track import AgeTrack, NudityTrack
from .views import HARMLESS, ScoreCache

LOOKS = 5  # at most, at each face's age, spread over its track
_MANY_LOOKS = 3  # from this many, their median averages enough, so each needs fewer crops


class ClipGates:
    """Refuse a clip for nudity, and sources and faces that may be minors'. name: of the clip, in refusals.

    target_scores: frame number -> what `score` returned for the target's frame, where already known.
    """

    def __init__(self, gates: Gates, name: str, target_scores: Mapping[int, float] | None = None) -> None:
        self._gates, self._name = gates, name
        self._target, self._result = NudityTrack(), NudityTrack()
        self._target_cache, self._result_cache = ScoreCache(), ScoreCache()
        self.target_scores: dict[int, float] = dict(target_scores or {})
        self._tracks: dict[int, AgeTrack] = {}
        self._people: dict[int, AgeTrack] = {}
        self._person_of: dict[int, int] = {}
        self._aged: dict[int, AgeTrack] = {}
        gates.counts["targets"] += 1

    def check_sources(self, sources: Iterable[Source]) -> None:
        """Raise RefusedError for a source that may be a minor."""
        for source in sources:
            if any(self._gates.may_be_minor(subject) for subject in source.subjects):
                raise self._gates.refusal(
                    "age", f"the swap was refused: {_minor(f'the face in {source.name}')}"
                )

    def score(self, pixels: np.ndarray, boxes: Sequence[np.ndarray], *, afresh: bool = False) -> float:
        """Return the highest nudity score of a frame (H,W,3) uint8, as a whole and around each face's box (4,).

        A view that hardly changed since it was found harmless is not checked again, at most four times in a row.
        afresh: check all views.
        """
        with self._gates.refusing("nudity"):
            if afresh:
                return _highest(map(nudity_net().score, views_of(pixels, boxes)))
            views = views_of(pixels, boxes)
            return _highest(
                self._target_cache.score(n, one, nudity_net().score) for n, one in enumerate(views)
            )

    def score_result(
        self, pixels: np.ndarray, boxes: Sequence[np.ndarray], target: np.ndarray, frame: int
    ) -> float:
        """Return the same for a swapped frame by its number. target (H,W,3) uint8: the frame before the swap.

        A view that looks like the target's is not checked if the target was found harmless.
        """
        harmless = self.target_scores.get(frame, 1.0) < HARMLESS
        with self._gates.refusing("nudity"):
            views, before = views_of(pixels, boxes), views_of(target, boxes)
            return _highest(
                self._result_cache.score(n, one, nudity_net().score, same if harmless else None)
                for n, (one, same) in enumerate(zip(views, before, strict=True))
            )

    def add_target(self, score: float, frame: int | None = None) -> None:
        """Add a score of the target, in the order of time; raise RefusedError if the scores add up to nudity."""
        if frame is not None:
            self.target_scores[frame] = score
        if self._target.add(score):
            raise self._gates.refusal("nudity", f"the swap was refused: {self._name} seems to show nudity")

    def add_result(self, score: float) -> None:
        """Add a score of the result, in the order of time; raise RefusedError if the scores add up to nudity."""
        if self._result.add(score):
            text = f"the result was refused: the swap into {self._name} seems to show nudity"
            raise self._gates.refusal("nudity", text)

    def add_face(self, track: int, person: int, seen: SeenFace, looks: int = LOOKS) -> None:
        """Estimate the age of a track's face, one of `looks` times, unless the estimates so far decide it."""
        self._person_of[track] = person
        if self._tracks.setdefault(track, AgeTrack()).surely_adult(looks):
            return
        with self._gates.refusing("age"):
            estimate = age_nets().estimate(seen, brief=looks >= _MANY_LOOKS)
        self._tracks[track].add(estimate)
        self._people.setdefault(person, AgeTrack()).add(estimate)

    def add_aged(self, person: int, seen: SeenFace) -> None:
        """Estimate the age of a swapped face of a person whose age is changed."""
        with self._gates.refusing("age"):
            self._aged.setdefault(person, AgeTrack()).add(age_nets().estimate(seen, both=True))

    def check_aged(self, change: float) -> None:
        """Raise RefusedError if a person who was made `change` years older or younger looks too young."""
        for person, track in self._aged.items():
            if track.estimate.too_young(change):
                text = aged_refusal(f"person {person} in {self._name}", change, track.estimate)
                raise self._gates.refusal("age", text, report=False)

    def refused_tracks(self, tracks: Iterable[int]) -> dict[int, RefusedError]:
        """Return the tracks whose face may be a minor's, by their own looks or their person's, and unseen ones."""
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


def _highest(scores: Iterable[float]) -> float:
    """Return the highest score, NaN if any is NaN."""
    known = list(scores)
    return float("nan") if any(not score <= 1 for score in known) else max(known)


def _minor(who: str) -> str:
    return f"{who} may be that of a person under 18"
