"""Lists of very many photos: columns in one memory-mapped file instead of objects in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reliableswap.errors import ReliableSwapError

from .photos import Photo, ScannedPhoto, scan
from .storage import as_path, local_copy, write_atomic

_BASE, _DIGEST = b"base", b"digest"
_CHUNK = 65_536  # photos that are Python objects at a time
_SCHEMA = pa.schema(
    [
        ("name", pa.large_string()),
        ("identity", pa.large_string()),
        ("bytes", pa.int64()),
        ("modified", pa.int64()),
    ]
)


class PhotoList(Sequence[Photo]):
    """Photos sorted by name, about 80 bytes each. A Photo object is made on access.

    A list that was opened from a file is memory-mapped, and is pickled as the file's name.
    """

    def __init__(self, base: Path, table: pa.Table, file: Path | None = None) -> None:
        self.base, self._file = base, file
        self._table = table
        self._names, self._identities = _as_array(table["name"]), _as_array(table["identity"])
        self.bytes, self.modified = (
            _as_array(table["bytes"]).to_numpy(),
            _as_array(table["modified"]).to_numpy(),
        )

    @classmethod
    def of(cls, base: Path, found: Iterable[ScannedPhoto]) -> PhotoList:
        """Make a list of what a scan found. base: the folder that names are relative to."""
        chunks = list(_chunks(found))
        table = pa.Table.from_batches(chunks, schema=_SCHEMA)
        del chunks
        table = table.take(pc.sort_indices(table, sort_keys=[("name", "ascending")])).combine_chunks()
        people = _as_array(table["identity"].dictionary_encode())
        order = pc.sort_indices(people.dictionary)
        rank = np.empty(len(order), np.int32)
        rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
        coded = pa.DictionaryArray.from_arrays(
            pa.array(rank[people.indices.to_numpy()]), people.dictionary.take(order)
        )
        return cls(base, table.set_column(1, "identity", coded))

    @classmethod
    def open(cls, file: Path) -> PhotoList:
        """Map a list that was saved."""
        with pa.memory_map(str(local_copy(file))) as source:
            table = pa.ipc.open_file(source).read_all()
        return cls(as_path(table.schema.metadata[_BASE].decode()), table, file)

    def save(self, file: Path) -> PhotoList:
        """Write the list, and return it mapped from the file."""
        about = {_BASE: str(self.base).encode(), _DIGEST: self.digest.encode()}
        table = self._table.replace_schema_metadata(about)

        def write(draft: Path) -> None:
            with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
                out.write_table(table)

        write_atomic(file, write)
        return PhotoList.open(file)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, i: int, /) -> Photo: ...
    @overload
    def __getitem__(self, i: slice, /) -> list[Photo]: ...
    def __getitem__(self, i: int | slice) -> Photo | list[Photo]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        name = self._names[i].as_py()
        return Photo(
            name, self._identities[i].as_py(), self.base / name, int(self.bytes[i]), int(self.modified[i])
        )

    def names(self, positions: np.ndarray | None = None) -> Iterator[str]:
        """The names of all photos or of some."""
        yield from _texts(self._names, positions)

    @property
    def person(self) -> np.ndarray:
        """(N,) int32, the identity of each photo, as an index into `people`."""
        return np.asarray(self._identities.indices.to_numpy())

    @property
    def people(self) -> pa.Array:
        """The names of all identities, sorted."""
        return self._identities.dictionary

    @cached_property
    def digest(self) -> str:
        """A digest of all names, identities and sizes."""
        stored = (self._table.schema.metadata or {}).get(_DIGEST)
        if stored is not None:
            return str(stored.decode())
        digest, between = hashlib.sha256(), ""
        for start in range(0, len(self), _CHUNK):
            part = slice(start, start + _CHUNK)
            columns = self._names[part].to_pylist(), self._identities[part].to_pylist(), self.bytes[part]
            lines = "\n".join(f"{n}\t{i}\t{b}" for n, i, b in zip(*columns, strict=True))
            digest.update(f"{between}{lines}".encode())
            between = "\n"
        return digest.hexdigest()

    def first_duplicate(self) -> str | None:
        """Return a name that is listed twice, or None."""
        same = pc.equal(self._names[1:], self._names[:-1]).to_numpy(zero_copy_only=False)
        return self._names[int(same.argmax())].as_py() if same.any() else None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is not None:
            return PhotoList.open, (self._file,)
        return PhotoList, (self.base, self._table)


def scan_photos(root: Path, flat: Collection[str] = ()) -> PhotoList:
    """List the photos of a folder or table; see list_photos."""
    base, found = scan(root, flat)
    photos = PhotoList.of(base, found)
    if (name := photos.first_duplicate()) is not None:
        raise ReliableSwapError(f"{root} lists {name} twice; list each photo once")
    return photos


def _chunks(found: Iterable[ScannedPhoto]) -> Iterator[pa.RecordBatch]:
    """Yield the photos as record batches, so that few of them are objects at a time."""
    columns: tuple[list[Any], ...] = ([], [], [], [])

    def flush() -> pa.RecordBatch:
        batch = pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], _SCHEMA)
        for column in columns:
            column.clear()
        return batch

    for one in found:
        for column, value in zip(columns, (one.name, one.identity, one.bytes, one.modified), strict=True):
            column.append(value)
        if len(columns[0]) == _CHUNK:
            yield flush()
    yield flush()


def _texts(array: pa.Array, positions: np.ndarray | None) -> Iterator[str]:
    if positions is not None:
        array = array.take(pa.array(positions))
    for start in range(0, len(array), _CHUNK):
        yield from array[start : start + _CHUNK].to_pylist()


def _as_array(column: Any) -> pa.Array:
    """A column as one array."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
