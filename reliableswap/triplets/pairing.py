"""Who swaps with whom: photos chosen for their quality, partners chosen near in pose and light, never one person."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from reliableswap.data.splits import NAMES
from reliableswap.errors import ReliableSwapError

from .duplicates import duplicates
from .quality import quality, reason_against
from .records import Records
from .settings import TripletSettings


@dataclass(frozen=True)
class Choice:
    """The photos a run works with. dropped: reason of each photo that it does not, by position."""

    members: dict[str, np.ndarray]  # by split, positions of photos
    dropped: dict[int, str]
    quality: np.ndarray  # (N,) of all photos
    person: np.ndarray  # (N,) number of the photo's identity

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.dropped.values())


def choose_photos(records: Records, settings: TripletSettings) -> Choice:
    """Good photos without their near-duplicates, split by identity."""
    dropped: dict[int, str] = {}
    score = np.zeros(len(records.photos))
    for i, measures in enumerate(records.measures):
        if measures is None:
            dropped[i] = records.reasons[i]
            continue
        score[i] = quality(measures)
        reason = reason_against(measures, settings.quality)
        if reason:
            dropped[i] = reason
    good = np.array([i for i in range(len(records.photos)) if i not in dropped], np.int64)
    double = duplicates(records.hashes[good], score[good], settings.quality.duplicate_bits)
    dropped |= dict.fromkeys((int(i) for i in good[double]), "duplicate")
    splits = [settings.split.of(photo.identity) for photo in records.photos]
    members = {name: np.array([i for i in good[~double] if splits[i] == name], np.int64) for name in NAMES}
    names = sorted({photo.identity for photo in records.photos})
    number = {name: k for k, name in enumerate(names)}
    person = np.array([number[photo.identity] for photo in records.photos])
    return Choice(members, dropped, score, person)


def slots_by_split(choice: Choice, settings: TripletSettings) -> dict[str, int]:
    """How many of the pairs each split gets: its share, if at least two people are in it."""
    people = {name: len(set(choice.person[members].tolist())) for name, members in choice.members.items()}
    shares = {name: share for name, share in asdict(settings.split).items() if share > 0 and people[name] > 1}
    if not shares:
        why = ", ".join(f"{n} {reason}" for reason, n in choice.counts.most_common()) or "none was dropped"
        raise ReliableSwapError(
            f"no split has two people to pair ({sum(people.values())} people with usable photos; photos dropped: "
            f"{why}); add photos of more people or loosen the limits"
        )
    total = sum(shares.values())
    edges = np.rint(np.cumsum([0.0, *shares.values()]) / total * settings.pairs).astype(int)
    return {name: int(b - a) for name, a, b in zip(shares, edges[:-1], edges[1:], strict=True)}


@dataclass(frozen=True)
class Pair:
    """Positions of the photos; the others are further photos of the same people, where there are some."""

    a: int
    b: int
    other_a: int | None
    other_b: int | None


class Pairing:
    """The pairs of one split. Each follows from the seed, the slot's number and the attempt alone."""

    def __init__(self, records: Records, choice: Choice, settings: TripletSettings, split: str) -> None:
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
        """The random numbers of one attempt at one slot."""
        return np.random.default_rng(
            [self.settings.seed, zlib.crc32(self.split.encode()), slot, attempt, purpose]
        )

    def pair(self, slot: int, attempt: int = 0) -> Pair:
        """Every photo is `a` once before any is `a` twice."""
        rng = self.rng(slot, attempt)
        epoch, place = divmod(slot, len(self.members))
        a = int(self._order(epoch)[place])
        b = self._partner(a, rng)
        return Pair(int(self.members[a]), int(self.members[b]), self._another(a, rng), self._another(b, rng))

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
        """Another photo of the same person; with an encoder, one that it agrees is the same person."""
        same = self._by_person[int(self.person[one])]
        same = same[same != one]
        if len(same) and self.embeddings is not None:
            alike = self.embeddings[same] @ self.embeddings[one]
            same = same[alike >= self.settings.filter.min_same]
        return int(self.members[same[rng.integers(len(same))]]) if len(same) else None


def _runs(person: np.ndarray, order: np.ndarray) -> Sequence[np.ndarray]:
    """The order cut where the person changes."""
    if not len(order):
        return []
    return np.split(order, np.flatnonzero(np.diff(person[order])) + 1)
