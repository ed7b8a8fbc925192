"""Who swaps with whom: partners alike in pose and light, and never the same person."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .choice import Choice
from .records import FaceRecords
from .settings import TripletSettings


@dataclass(frozen=True)
class Pair:
    """Positions of photos. other_a and other_b: further photos of the same people, if there are any."""

    a: int
    b: int
    other_a: int | None
    other_b: int | None


class Pairing:
    """The pairs of one split. A pair follows from the seed, the number of its slot and the attempt alone."""

    def __init__(self, records: FaceRecords, choice: Choice, settings: TripletSettings, split: str) -> None:
        self.settings, self.split = settings, split
        self.members = choice.members[split]
        self.person = choice.person[self.members]
        found = [records.measures[i] for i in self.members]
        self.angles = np.array([(m.yaw, m.pitch) for m in found if m], np.float64).reshape(-1, 2)
        self.light = np.array([m.light for m in found if m], np.float64).reshape(-1, 3)
        self.embeddings = None if records.embeddings is None else records.embeddings[self.members]
        order = np.argsort(self.person, kind="stable")
        self._by_person = {int(self.person[run[0]]): run for run in _runs(self.person, order)}
        self._order = lru_cache(maxsize=4)(self._new_order)

    def rng(self, slot: int, attempt: int, purpose: int = 0) -> np.random.Generator:
        """Random numbers for one attempt at one slot."""
        return np.random.default_rng(
            [self.settings.seed, zlib.crc32(self.split.encode()), slot, attempt, purpose]
        )

    def pair(self, slot: int, attempt: int = 0) -> Pair:
        """The pair of a slot. Every photo is `a` once before any photo is `a` twice."""
        rng = self.rng(slot, attempt)
        epoch, place = divmod(slot, len(self.members))
        a = int(self._order(epoch)[place])
        b = self._partner(a, rng)
        return Pair(int(self.members[a]), int(self.members[b]), self._another(a, rng), self._another(b, rng))

    def another_photo(self, photo: int, rng: np.random.Generator) -> int:
        """Any other photo of the split."""
        others = self.members[self.members != photo]
        return int(others[rng.integers(len(others))])

    def _new_order(self, epoch: int) -> np.ndarray:
        purpose = 1 << 32 | zlib.crc32(self.split.encode())
        return np.random.default_rng([self.settings.seed, purpose, epoch]).permutation(len(self.members))

    def _partner(self, a: int, rng: np.random.Generator) -> int:
        limits = self.settings.pairing
        candidates = rng.integers(0, len(self.members), limits.candidates)
        candidates = candidates[self.person[candidates] != self.person[a]]
        if not len(candidates):  # one person has nearly all the photos
            candidates = rng.permutation(np.flatnonzero(self.person != self.person[a]))[: limits.candidates]
        turn = np.linalg.norm(self.angles[candidates] - self.angles[a], axis=1)
        light = np.linalg.norm(self.light[candidates] - self.light[a], axis=1)
        excess = np.maximum(turn / limits.max_turn, light / limits.max_light)
        within = np.flatnonzero(excess <= 1)
        return int(candidates[within[0] if len(within) else excess.argmin()])

    def _another(self, one: int, rng: np.random.Generator) -> int | None:
        """Another photo of the same person; with an encoder, only one that it finds similar enough."""
        if self.settings.surrogates.singles:
            return None
        same = self._by_person[int(self.person[one])]
        same = same[same != one]
        if len(same) and self.embeddings is not None:
            alike = self.embeddings[same] @ self.embeddings[one]
            same = same[alike >= self.settings.filter.min_same]
        return int(self.members[same[rng.integers(len(same))]]) if len(same) else None


def _runs(person: np.ndarray, order: np.ndarray) -> Sequence[np.ndarray]:
    """The order, cut where the person changes."""
    if not len(order):
        return []
    return np.split(order, np.flatnonzero(np.diff(person[order])) + 1)
