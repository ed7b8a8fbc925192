"""Records of photos, made once and kept in a folder: some columns and one array entry for each photo.

Photos are spread over buckets by a hash of their name, so a photo that is added or changed leaves most buckets as they
are, and the other photos of its own bucket are not looked at again. A bucket is a Parquet file of columns beside an
.npy file of entries. The Parquet file is written last and whole, so a bucket is done or not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from reliableswap.errors import PictureError, ReliableSwapError, WeightsError
from reliableswap.faces.analysers.base import FaceAnalyser

from .jobs import Crew
from .mapped import MappedRows
from .photos import Photo
from .storage import local_copy, readable, write_array, write_whole

logger = logging.getLogger(__name__)

BUCKETS = 256
_ABOUT = b"reliableswap"
_PASSING = (OSError, MemoryError, torch.OutOfMemoryError)  # they say nothing about the photo
_COLUMNS = [("name", pa.string()), ("stamp", pa.string()), ("row", pa.int32())]
_COLUMNS += [("reason", pa.string()), ("message", pa.string())]


@dataclass(frozen=True, eq=False)
class Record:
    """What is kept of a photo. entry is None if `reason` (a word or two) says why there is none."""

    entry: np.ndarray | np.void | None
    columns: Mapping[str, Any]
    reason: str = ""
    message: str = ""


class RecordKind(Protocol):
    """Makes the record of a photo. It can be sent to another process, and loads its networks there.

    recipe: everything besides the photo that decides a record; columns: the names and types of its columns; entry: the
    type of its entries. It raises PictureError for a photo without a picture, and OSError for one that can't be read
    just now.
    """

    @property
    def recipe(self) -> str: ...

    @property
    def columns(self) -> Mapping[str, pa.DataType]: ...

    @property
    def entry(self) -> np.dtype: ...

    def __call__(self, photo: Photo, /) -> Record: ...


@dataclass(frozen=True)
class Made:
    """The outcome of one bucket: the number of its photos, and which of them could not be read just now, and why."""

    photos: int
    unread: Sequence[str] = ()


@dataclass(frozen=True)
class RecordCache:
    """The records of `photos` in `folder`; called with a bucket's number, it makes that bucket."""

    folder: Path
    kind: RecordKind
    photos: Sequence[Photo]

    def complete(self, crew: Crew[int], *, progress: bool = False) -> None:
        """Make the missing records, all ranks together; raise if photos could not be read."""
        buckets = list(self.buckets)
        todo = sum(len(self.buckets[b]) for b in crew.mine(buckets) if not self.done(b))
        unread: list[str] = []
        with tqdm(total=todo, desc="faces", unit=" photos", disable=not progress or not todo) as bar:
            for made in crew.make_own(self, buckets, self.done):
                bar.update(made.photos)
                unread += made.unread
        _check(unread)
        for made in crew.wait_for_others(self, buckets, self.done):
            _check(made.unread)

    def __call__(self, bucket: int) -> Made:
        known = self._known(bucket)
        records: dict[Photo, Record] = {}
        unread = []
        for photo in self.buckets[bucket]:
            try:
                records[photo] = known.get((photo.name, photo.stamp)) or self._look(photo)
            except _PASSING as error:
                unread.append(f"{photo.name} ({error or type(error).__name__})")
        self._write(bucket, records)
        return Made(len(self.buckets[bucket]), unread)

    def _look(self, photo: Photo) -> Record:
        """The record of a photo. Whatever is wrong with its content is a record without entry and stops nothing."""
        try:
            return self.kind(photo)
        except PictureError as error:
            return Record(None, {}, "unreadable", _line(error))
        except (*_PASSING, WeightsError):
            raise
        except Exception as error:
            logger.debug("%s failed", photo.name, exc_info=True)
            return Record(None, {}, "failed", _line(f"{type(error).__name__}: {error}"))

    def done(self, bucket: int) -> bool:
        """Whether a bucket holds the records of its photos as they are now."""
        stored = _stored(self._table(bucket)).get("key")
        return stored == self._key(self.buckets[bucket]) and self._array(bucket, stored).is_file()

    @cached_property
    def buckets(self) -> dict[int, list[Photo]]:
        """The photos by bucket."""
        buckets: dict[int, list[Photo]] = defaultdict(list)
        for photo in self.photos:
            buckets[zlib.crc32(photo.name.encode()) % BUCKETS].append(photo)
        return dict(sorted(buckets.items()))

    @property
    def key(self) -> str:
        """A digest of the recipe and of all photos."""
        return self._key(self.photos)

    def _key(self, photos: Sequence[Photo]) -> str:
        text = "\n".join([self.kind.recipe, *(f"{p.name}\t{p.stamp}" for p in photos)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def rows(self) -> Iterator[tuple[int, Path, dict[str, Any]]]:
        """Every photo's position, the file of its entry, and its columns; `row` is its row in that file or -1."""
        position = {photo.name: i for i, photo in enumerate(self.photos)}
        for bucket, photos in self.buckets.items():
            array = self._array(bucket, self._key(photos))
            for row in pq.read_table(readable(self._table(bucket))).to_pylist():
                yield position[row["name"]], array, row

    def _table(self, bucket: int) -> Path:
        return self.folder / f"faces-{bucket:03d}.parquet"

    def _array(self, bucket: int, key: str) -> Path:
        return self.folder / f"faces-{bucket:03d}-{key}.npy"

    def _known(self, bucket: int) -> dict[tuple[str, str], Record]:
        """The records of an earlier run with the same recipe, by photo and stamp."""
        about = _stored(self._table(bucket))
        if about.get("recipe") != self.kind.recipe or not self._array(bucket, about["key"]).is_file():
            return {}
        entries = np.load(local_copy(self._array(bucket, about["key"])), mmap_mode="r")
        known = {}
        for row in pq.read_table(readable(self._table(bucket))).to_pylist():
            entry = entries[row["row"]] if row["row"] >= 0 else None
            columns = {name: row[name] for name in self.kind.columns}
            known[row["name"], row["stamp"]] = Record(entry, columns, row["reason"], row["message"])
        return known

    def _write(self, bucket: int, records: Mapping[Photo, Record]) -> None:
        key = self._key(list(records))  # without those that could not be read, the bucket is not done
        entries = [record.entry for record in records.values() if record.entry is not None]
        path = self._array(bucket, key)
        write_array(path, np.stack(entries) if entries else np.zeros(0, self.kind.entry))
        rows, count = [], 0
        for photo, record in records.items():
            row = {"name": photo.name, "stamp": photo.stamp, "row": -1, **record.columns}
            row |= {"reason": record.reason, "message": record.message}
            if record.entry is not None:
                row["row"], count = count, count + 1
            rows.append(row)
        about = {_ABOUT: json.dumps({"key": key, "recipe": self.kind.recipe})}
        schema = pa.schema([*_COLUMNS, *self.kind.columns.items()], metadata=about)
        table = pa.Table.from_pylist(rows, schema=schema)
        write_whole(self._table(bucket), lambda draft: pq.write_table(table, draft, compression="zstd"))
        for old in self.folder.glob(f"faces-{bucket:03d}-*.npy"):
            if old != path:
                old.unlink(missing_ok=True)


class Records:
    """What a complete cache holds, by position of the photo: reasons and messages, `found`, and `entries`."""

    def __init__(self, cache: RecordCache) -> None:
        self.photos = cache.photos
        self.reasons, self.messages = [""] * len(cache.photos), [""] * len(cache.photos)
        place = np.full((len(cache.photos), 2), -1, np.int64)
        files: dict[Path, int] = {}
        for i, file, row in cache.rows():
            self.reasons[i], self.messages[i] = row["reason"], row["message"]
            if row["row"] >= 0:
                place[i] = files.setdefault(file, len(files)), row["row"]
                self.keep(i, row)
        self.found = place[:, 0] >= 0
        self.entries = MappedRows(list(files), place)

    def keep(self, i: int, columns: Mapping[str, Any]) -> None:
        """Called with the columns of every photo that has an entry; a kind's own records keep theirs here."""


def _check(unread: Sequence[str]) -> None:
    if unread:
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        raise ReliableSwapError(
            f"{len(unread)} photos could not be read: {', '.join(unread[:3])}{more}; make these files readable or "
            "remove them, and start again: the work on the other photos is kept"
        )


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _stored(table: Path) -> dict[str, str]:
    """What a bucket says about its making; empty if it is not there."""
    if not table.is_file():
        return {}
    return dict(json.loads((pq.read_schema(readable(table)).metadata or {})[_ABOUT]))


def analyser_label(analyser: FaceAnalyser) -> str:
    """The analyser's name and a digest of its networks, so that new weights mean new records."""
    digest = hashlib.sha256()
    networks = [(n, v) for n, v in sorted(vars(analyser).items()) if isinstance(v, torch.nn.Module)]
    for name, network in networks:
        for key, value in sorted(network.state_dict().items()):
            digest.update(f"{name}.{key}".encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{analyser.name} {digest.hexdigest()[:16]}" if networks else analyser.name
