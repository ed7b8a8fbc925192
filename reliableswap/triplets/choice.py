"""Which photos a run works with, and how many pairs each split gets."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from reliableswap.data.splits import NAMES
from reliableswap.errors import ReliableSwapError

from .duplicates import duplicates
from .quality import quality, reason_against
from .records import FaceRecords
from .settings import TripletSettings

_OFTEN = 50  # pairs a photo; more add little


@dataclass(frozen=True)
class Choice:
    """members: the positions of each split's photos; dropped: the reason of every other photo, by position.

    quality (N,) of all photos; person (N,): a number for the identity of each photo.
    """

    members: dict[str, np.ndarray]
    dropped: dict[int, str]
    quality: np.ndarray
    person: np.ndarray

    @property
    def counts(self) -> Counter[str]:
        """Dropped photos by reason."""
        return Counter(self.dropped.values())

    @property
    def people(self) -> dict[str, int]:
        """People with usable photos by split."""
        return {name: len(set(self.person[members].tolist())) for name, members in self.members.items()}


def choose_photos(records: FaceRecords, settings: TripletSettings) -> Choice:
    """Take the good photos without near-duplicates, split by identity."""
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


def overused(choice: Choice, slots: dict[str, int]) -> str | None:
    """Explain which splits would show the same few photos again and again; None if none does."""
    often = {}
    for name, pairs in slots.items():
        photos = len(choice.members[name])
        if 2 * pairs > _OFTEN * photos:
            often[name] = (
                f"{pairs:,} pairs of {photos} photos in {name}, each about {2 * pairs // photos} times"
            )
    if not often:
        return None
    enough = sum(min(pairs, _OFTEN * len(choice.members[name]) // 2) for name, pairs in slots.items())
    return (
        f"few photos for so many pairs: {'; '.join(often.values())}; a network learns these faces by heart, so add "
        f"photos or make fewer pairs (--pairs {enough})"
    )


def slots_by_split(choice: Choice, settings: TripletSettings) -> dict[str, int]:
    """The number of pairs of each split: its share, if two people or more fell into it."""
    people = choice.people
    shares = {n: share for n, share in asdict(settings.split).items() if share > 0 and people[n] > 1}
    if not shares:
        why = ", ".join(f"{n} {reason}" for reason, n in choice.counts.most_common()) or "none was dropped"
        raise ReliableSwapError(
            f"no split has two people to pair ({sum(people.values())} people with usable photos; photos dropped: "
            f"{why}); add photos of more people or loosen the limits"
        )
    total = sum(shares.values())
    edges = np.rint(np.cumsum([0.0, *shares.values()]) / total * settings.pairs).astype(int)
    return {name: int(b - a) for name, a, b in zip(shares, edges[:-1], edges[1:], strict=True)}
