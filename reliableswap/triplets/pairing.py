"""Pair photos for swapping: partners are similar in pose and light, and never the same person."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from .settings import TripletSettings

MEMBER = np.dtype(
    [
        ("photo", "<i4"),
        ("person", "<i4"),
        ("yaw", "<f8"),
        ("pitch", "<f8"),
        ("light", "<f8", (3,)),
        ("same", "<i4", (2,)),
    ]
)


@dataclass(frozen=True)
class Pair:
    """Positions of photos. other_a and other_b: further photos of the same people, if there are any."""

    a: int
    b: int
    other_a: int | None
    other_b: int | None


@dataclass(frozen=True, eq=False)
class Members:
    """The photos of a split, and which of them is `a` in each of its slots.

    The arrays may be memory-mapped files: a pair reads only a few of their rows.

    photos (M,) of type MEMBER: position, person, pose and light of each photo. by_person (M,): the members, sorted by
    person; by_person[same[0]:same[1]] are those of the same person. first (slots,): the member that is `a`.
    """

    photos: np.ndarray
    by_person: np.ndarray
    first: np.ndarray

    @classmethod
    def of(
        cls, positions: np.ndarray, faces: np.ndarray, person: np.ndarray, slots: int, seed: int, split: str
    ) -> Members:
        """Make members of the faces at the sorted `positions`. Every photo is `a` once before any is `a` twice."""
        members = np.zeros(len(positions), MEMBER)
        members["photo"], members["person"] = positions, person[positions]
        for name in ("yaw", "pitch", "light"):
            members[name] = faces[name][positions]
        by_person = np.argsort(members["person"], kind="stable").astype(np.int32)
        sorted_person = members["person"][by_person]
        members["same"][:, 0] = np.searchsorted(sorted_person, members["person"], "left")
        members["same"][:, 1] = np.searchsorted(sorted_person, members["person"], "right")
        first = np.zeros(slots, np.int32)
        purpose = 1 << 32 | zlib.crc32(split.encode())
        for epoch, start in enumerate(range(0, slots, max(len(members), 1))):
            order = np.random.default_rng([seed, purpose, epoch]).permutation(len(members))
            first[start : start + len(members)] = order[: slots - start]
        return cls(members, by_person, first)


class Pairing:
    """The pairs of one split. A pair depends only on the seed, the number of its slot and the attempt.

    embeddings (N,D): identity vectors of all photos, or None.
    """

    def __init__(
        self, settings: TripletSettings, split: str, members: Members, embeddings: np.ndarray | None
    ) -> None:
        self.settings, self.split, self.embeddings = settings, split, embeddings
        self.members, self._by_person, self._first = members.photos, members.by_person, members.first

    def rng(self, slot: int, attempt: int, purpose: int = 0) -> np.random.Generator:
        """Random numbers for one attempt at one slot."""
        return np.random.default_rng(
            [self.settings.seed, zlib.crc32(self.split.encode()), slot, attempt, purpose]
        )

    def pair(self, slot: int, attempt: int = 0) -> Pair:
        """Draw the pair of a slot."""
        rng = self.rng(slot, attempt)
        a = int(self._first[slot])
        b = self._partner(a, rng)
        return Pair(self._photo(a), self._photo(b), self._another(a, rng), self._another(b, rng))

    def another_photo(self, photo: int, rng: np.random.Generator) -> int:
        """Draw any other photo of the split."""
        place = int(np.searchsorted(self.members["photo"], photo))
        other = int(rng.integers(len(self.members) - 1))
        return self._photo(other + (other >= place))

    def _photo(self, member: int) -> int:
        return int(self.members[member]["photo"])

    def _partner(self, a: int, rng: np.random.Generator) -> int:
        limits, me = self.settings.pairing, self.members[a]
        candidates = rng.integers(0, len(self.members), limits.candidates)
        candidates = candidates[self.members[candidates]["person"] != me["person"]]
        if not len(candidates):  # one person has nearly all the photos
            others = np.flatnonzero(self.members["person"] != me["person"])
            candidates = rng.permutation(others)[: limits.candidates]
        rows = self.members[candidates]
        turn = np.linalg.norm(_angles(rows) - _angles(me), axis=1)
        light = np.linalg.norm(rows["light"] - me["light"], axis=1)
        excess = np.maximum(turn / limits.max_turn, light / limits.max_light)
        within = np.flatnonzero(excess <= 1)
        return int(candidates[within[0] if len(within) else excess.argmin()])

    def _another(self, one: int, rng: np.random.Generator) -> int | None:
        """Draw another photo of the same person, if there is one; with an encoder, only a similar enough one."""
        if self.settings.surrogates.singles:
            return None
        start, stop = self.members[one]["same"]
        same = self._by_person[start:stop]
        same = self.members[same[same != one]]["photo"]
        if len(same) and self.embeddings is not None:
            alike = self.embeddings[same] @ self.embeddings[self._photo(one)]
            same = same[alike >= self.settings.filter.min_same]
        return int(same[rng.integers(len(same))]) if len(same) else None


def _angles(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows["yaw"], rows["pitch"]], axis=-1)
