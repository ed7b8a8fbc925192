"""Choose the photos of a run, and the number of pairs of each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from reliableswap.data.splits import NAMES, Split
from reliableswap.errors import ReliableSwapError

from .duplicates import duplicates
from .quality import faults, quality
from .settings import TripletSettings

_CHUNK = 65_536  # photos at a time
_MAX_PAIRS_PER_PHOTO = 50  # pairs per photo; more add little
USED, DUPLICATE = "", "duplicate"


@dataclass(frozen=True)
class Choice:
    """Which photos are used.

    members: the positions of each split's photos; reasons: why photos are dropped, after "" for those that are used;
    why (N,) uint8: each photo's reason, as an index into `reasons`.
    """

    members: Mapping[str, np.ndarray]
    reasons: Sequence[str]
    why: np.ndarray

    @property
    def counts(self) -> Counter[str]:
        """Number of dropped photos by reason, ordered by the first photo of each reason, duplicates last."""
        first = {name: int(np.argmax(self.why == k)) for k, name in enumerate(self.reasons) if k in self.why}
        names = sorted(first, key=lambda name: (name == DUPLICATE, first[name]))
        numbers = np.bincount(self.why, minlength=len(self.reasons))
        return Counter({n: int(numbers[self.reasons.index(n)]) for n in names if n != USED})


def choose_photos(
    faces: np.recarray, reasons: Sequence[str], split: np.ndarray, settings: TripletSettings
) -> Choice:
    """Choose the good photos, without near-duplicates.

    faces: the measures and hashes of all photos; `quality` and `why` are filled in. On entry `why` is an index into
    `reasons` for photos without a face, and 0 for the others. split (N,): the index of each photo's split in NAMES.
    """
    names = [*reasons]
    for start in range(0, len(faces), _CHUNK):
        some = faces[start : start + _CHUNK].view(np.recarray)
        some.quality[:] = np.where(some.why == 0, quality(some), 0.0)
        for reason, faulty in faults(some, settings.quality).items():
            if (new := faulty & (some.why == 0)).any():
                some.why[new] = _number(names, reason)
    good = np.flatnonzero(faces.why == 0)
    double = duplicates(faces.hash[good], faces.quality[good], settings.quality.duplicate_bits)
    if double.any():
        faces.why[good[double]] = _number(names, DUPLICATE)
    good = good[~double]
    members = {name: good[split[good] == k].astype(np.int32) for k, name in enumerate(NAMES)}
    return Choice(members, names, faces.why)


def _number(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def split_indices(split: Split, people: Sequence[str]) -> np.ndarray:
    """(P,) uint8, the index of each person's split in NAMES."""
    return np.fromiter((NAMES.index(split.of(person)) for person in people), np.uint8, len(people))


def reuse_warning(photos: Mapping[str, int], slots: Mapping[str, int]) -> str | None:
    """Explain which splits would repeat the same few photos too often; None if none does.

    photos and slots: the number of photos and pairs by split.
    """
    often = {}
    for name, pairs in slots.items():
        if 2 * pairs > _MAX_PAIRS_PER_PHOTO * photos[name]:
            times = 2 * pairs // photos[name]
            often[name] = f"{pairs:,} pairs of {photos[name]} photos in {name}, each used about {times} times"
    if not often:
        return None
    enough = sum(min(pairs, _MAX_PAIRS_PER_PHOTO * photos[name] // 2) for name, pairs in slots.items())
    return (
        f"too few photos for so many pairs: {'; '.join(often.values())}; a network would memorise these faces, so add "
        f"photos or make fewer pairs (--pairs {enough})"
    )


def slots_by_split(
    people: Mapping[str, int], dropped: Counter[str], settings: TripletSettings
) -> dict[str, int]:
    """Return the number of pairs of each split: its share, if at least two people fell into it.

    people: number of people with usable photos by split; dropped: number of photos by reason.
    """
    shares = {n: share for n, share in asdict(settings.split).items() if share > 0 and people[n] > 1}
    if not shares:
        why = ", ".join(f"{n} {reason}" for reason, n in dropped.most_common()) or "none was dropped"
        raise ReliableSwapError(
            f"no split has two people to pair ({sum(people.values())} people with usable photos; photos dropped: "
            f"{why}); add photos of more people or loosen the limits"
        )
    total = sum(shares.values())
    edges = np.rint(np.cumsum([0.0, *shares.values()]) / total * settings.pairs).astype(int)
    return {name: int(b - a) for name, a, b in zip(shares, edges[:-1], edges[1:], strict=True)}
