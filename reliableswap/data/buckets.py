"""Photos spread over buckets by a hash of their name: the units in which records are made.

A photo that is added or changed leaves most buckets as they are, and the other photos of its own bucket are not
analysed again. The more photos, the more buckets, so that making one takes seconds. Their number is a power of two:
when it doubles, every bucket splits in two, and the records are found in the bucket that theirs was split from.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .photo_list import PhotoList
from .photos import Photo

MIN_BUCKETS = 256  # buckets
_PHOTOS_PER_BUCKET = 256  # per bucket on average, at most


@dataclass(frozen=True, eq=False)
class Bucket:
    """Bucket `number` of `count`. photos: their positions in the list; key: a digest of the recipe and of these photos
    as they are now."""

    number: int
    count: int
    photos: np.ndarray
    key: str

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def stem(self) -> str:
        """The beginning of its files' names."""
        return f"faces-{self.number:05d}-of-{self.count:05d}"

    def restricted_to(self, photos: Sequence[Photo], recipe: str) -> Bucket:
        """Return the bucket as if it held only these of its photos."""
        return replace(self, key=digest(recipe, photos))


def spread(photos: Sequence[Photo], recipe: str) -> list[Bucket]:
    """Spread photos over buckets, and return those that hold any."""
    count = MIN_BUCKETS
    while count * _PHOTOS_PER_BUCKET < len(photos):
        count *= 2
    names = photos.names() if isinstance(photos, PhotoList) else (photo.name for photo in photos)
    numbers = np.fromiter((zlib.crc32(name.encode()) for name in names), np.uint32, len(photos)) % count
    order = np.argsort(numbers, kind="stable").astype(np.int32)
    cuts = np.searchsorted(numbers[order], np.arange(count + 1))
    buckets = []
    for number in range(count):
        own = order[cuts[number] : cuts[number + 1]]
        if len(own):
            buckets.append(Bucket(number, count, own, _key(recipe, _lines(photos, own))))
    return buckets


def known_tables(bucket: Bucket) -> Iterator[str]:
    """Yield glob patterns for the tables that may hold records of a bucket's photos: its own, those of the larger
    buckets that it was split from, and those of earlier versions."""
    count = bucket.count
    while count >= MIN_BUCKETS:
        yield f"{replace(bucket, number=bucket.number % count, count=count).stem}-*.parquet"
        count //= 2
    yield f"faces-{bucket.number % MIN_BUCKETS:03d}.parquet"


def digest(recipe: str, photos: Sequence[Photo]) -> str:
    """Return a digest of the recipe and of photos as they are now."""
    return _key(recipe, _lines(photos, np.arange(len(photos))))


def _lines(photos: Sequence[Photo], positions: np.ndarray) -> Iterator[str]:
    if isinstance(photos, PhotoList):
        stamps = zip(photos.bytes[positions].tolist(), photos.modified[positions].tolist(), strict=True)
        names = photos.names(positions)
        yield from (f"{name}\t{size} {time}" for name, (size, time) in zip(names, stamps, strict=True))
        return
    yield from (f"{photos[i].name}\t{photos[i].stamp}" for i in positions)


def _key(recipe: str, lines: Iterator[str]) -> str:
    found = hashlib.sha256(recipe.encode())
    for line in lines:
        found.update(f"\n{line}".encode())
    return found.hexdigest()[:16]
