"""Records of photos, made once and kept in a folder: some columns and one array entry for each photo.

Photos are spread over buckets (buckets.py). A bucket is a Parquet file of columns beside an .npy file of entries, both
named by a digest of the photos and of the recipe. The Parquet file is written last, atomically, so a bucket is complete
or absent. While a bucket is made, only one entry is in memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
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
from reliableswap.jobs.units import Crew

from .array_file import ArrayFile
from .buckets import Bucket, digest, known_tables, spread
from .mapped import MappedRows
from .photos import Photo
from .storage import FolderListing, draft_beside, local_copy, put_draft, readable, remove, write_atomic

logger = logging.getLogger(__name__)

_ABOUT = b"reliableswap"
_TRANSIENT = (OSError, MemoryError, torch.OutOfMemoryError)  # they say nothing about the photo
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
    """Makes the record of a photo. It can be pickled for another process, and loads its networks there.

    recipe: identifies everything besides the photo that a record depends on; columns: the names and types of its
    columns; entry: the dtype of its entries. It raises PictureError for a file that is not a picture, and OSError for
    one that can't be read just now.
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
    """The records of `photos` in `folder`; called with a bucket, it makes that bucket."""

    folder: Path
    kind: RecordKind
    photos: Sequence[Photo]

    def complete(self, crew: Crew[Bucket], *, progress: bool = False) -> None:
        """Make the missing records, all ranks together; raise if photos could not be read."""
        todo = sum(len(bucket) for bucket in crew.mine(self.buckets) if not self.done(bucket))
        unread: list[str] = []
        with tqdm(total=todo, desc="faces", unit=" photos", disable=not progress or not todo) as bar:
            for made in crew.make_own(self, self.buckets, self.done):
                bar.update(made.photos)
                unread += made.unread
        _raise_if_unread(unread)
        for made in crew.wait_for_others(self, self.buckets, self.done):
            _raise_if_unread(made.unread)
        if crew.rank.first:
            for path in self.folder.glob("faces-*-of-*"):
                if f"-of-{self.buckets[0].count:05d}-" not in path.name:  # outgrown
                    remove(path)

    def __call__(self, bucket: Bucket) -> Made:
        known = self._known(bucket)
        photos, unread, rows = [], [], []
        with draft_beside(self.array(bucket)) as draft:
            with ArrayFile(draft, self.kind.entry) as entries:
                for photo in (self.photos[i] for i in bucket.photos):
                    try:
                        record = known.get((photo.name, photo.stamp)) or self._make_record(photo)
                    except _TRANSIENT as error:
                        unread.append(f"{photo.name} ({error or type(error).__name__})")
                        continue
                    photos.append(photo)
                    rows.append(self._row(photo, record, len(entries)))
                    if record.entry is not None:
                        entries.append(record.entry)
            # Without the photos that could not be read, the bucket has another key, so it does not count as done.
            kept = bucket if not unread else bucket.restricted_to(photos, self.kind.recipe)
            put_draft(draft, self.array(kept))
        self._write(kept, rows)
        return Made(len(bucket), unread)

    def _make_record(self, photo: Photo) -> Record:
        """Make the record of a photo. Anything wrong with its content gives a record without an entry, not an error."""
        try:
            return self.kind(photo)
        except PictureError as error:
            return Record(None, {}, "unreadable", _one_line(error))
        except (*_TRANSIENT, WeightsError):
            raise
        except Exception as error:
            logger.debug("%s failed", photo.name, exc_info=True)
            return Record(None, {}, "failed", _one_line(f"{type(error).__name__}: {error}"))

    def done(self, bucket: Bucket) -> bool:
        """Whether there are records of a bucket's photos as they are now."""
        return self.table(bucket).name in self._names and self.array(bucket).name in self._names

    @cached_property
    def buckets(self) -> list[Bucket]:
        """The photos by bucket."""
        return spread(self.photos, self.kind.recipe)

    @cached_property
    def _names(self) -> FolderListing:
        return FolderListing(self.folder)

    @property
    def key(self) -> str:
        """A digest of the recipe and of all photos."""
        return digest(self.kind.recipe, self.photos)

    def columns(self) -> Iterator[tuple[Bucket, pa.Table]]:
        """Yield the columns of each bucket, in the order of its photos."""
        for bucket in self.buckets:
            yield bucket, _read(self.table(bucket))

    def rows(self) -> Iterator[tuple[int, Path, dict[str, Any]]]:
        """Yield each photo's position, the file of its entry, and its columns; `row` is its row in that file or -1."""
        for bucket, table in self.columns():
            for i, row in zip(bucket.photos.tolist(), table.to_pylist(), strict=True):
                yield i, self.array(bucket), row

    def schema(self, bucket: Bucket) -> pa.Schema:
        """The schema of a bucket's columns."""
        about = {_ABOUT: json.dumps({"key": bucket.key, "recipe": self.kind.recipe})}
        return pa.schema([*_COLUMNS, *self.kind.columns.items()], metadata=about)

    def table(self, bucket: Bucket) -> Path:
        return self.folder / f"{bucket.stem}-{bucket.key}.parquet"

    def array(self, bucket: Bucket) -> Path:
        return self.folder / f"{bucket.stem}-{bucket.key}.npy"

    def _known(self, bucket: Bucket) -> dict[tuple[str, str], Record]:
        """The records of earlier runs with the same recipe, by photo and stamp."""
        known = {}
        for path in (path for pattern in known_tables(bucket) for path in self.folder.glob(pattern)):
            about = json.loads((pq.read_schema(readable(path)).metadata or {})[_ABOUT])
            array = path.with_name(f"{path.stem.removesuffix('-' + about['key'])}-{about['key']}.npy")
            if about["recipe"] != self.kind.recipe or not array.is_file():
                continue
            entries = np.load(local_copy(array), mmap_mode="r")
            for row in _read(path).to_pylist():
                entry = entries[row["row"]] if row["row"] >= 0 else None
                columns = {name: row[name] for name in self.kind.columns}
                known[row["name"], row["stamp"]] = Record(entry, columns, row["reason"], row["message"])
        return known

    def _row(self, photo: Photo, record: Record, row: int) -> dict[str, Any]:
        found = {"name": photo.name, "stamp": photo.stamp, "row": -1 if record.entry is None else row}
        return {**found, **record.columns, "reason": record.reason, "message": record.message}

    def _write(self, bucket: Bucket, rows: Sequence[Mapping[str, Any]]) -> None:
        table = pa.Table.from_pylist(list(rows), schema=self.schema(bucket))
        write_atomic(self.table(bucket), lambda draft: pq.write_table(table, draft, compression="zstd"))
        for old in self.folder.glob(f"{bucket.stem}-*"):
            if bucket.key not in old.name:
                remove(old)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the buckets: another process gets them one by one."""
        return {name: value for name, value in self.__dict__.items() if name not in ("buckets", "_names")}


class Records:
    """What a complete cache holds, by position of the photo: reasons and messages, `found`, and `entries`."""

    def __init__(self, cache: RecordCache) -> None:
        self.photos = cache.photos
        self.reasons, self.messages = [""] * len(cache.photos), [""] * len(cache.photos)
        place = np.full((len(cache.photos), 2), -1, np.int32)
        files: dict[Path, int] = {}
        for i, file, row in cache.rows():
            self.reasons[i], self.messages[i] = row["reason"], row["message"]
            if row["row"] >= 0:
                place[i] = files.setdefault(file, len(files)), row["row"]
                self.keep(i, row)
        self.found = place[:, 0] >= 0
        self.entries = MappedRows(list(files), place)

    def keep(self, i: int, columns: Mapping[str, Any]) -> None:
        """Called with the columns of every photo that has an entry. Subclasses override it to keep some."""


def _read(path: Path) -> pa.Table:
    """Read a small table, fetched in one piece."""
    return pq.read_table(pa.BufferReader(path.read_bytes()))


def _raise_if_unread(unread: Sequence[str]) -> None:
    if unread:
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        raise ReliableSwapError(
            f"{len(unread)} photos could not be read: {', '.join(unread[:3])}{more}; make these files readable or "
            "remove them, and start again: the work on the other photos is kept"
        )


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def analyser_label(analyser: FaceAnalyser) -> str:
    """The analyser's name and a digest of its networks, so that new weights mean new records."""
    digest = hashlib.sha256()
    networks = [(n, v) for n, v in sorted(vars(analyser).items()) if isinstance(v, torch.nn.Module)]
    for name, network in networks:
        for key, value in sorted(network.state_dict().items()):
            digest.update(f"{name}.{key}".encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{analyser.name} {digest.hexdigest()[:16]}" if networks else analyser.name
