"""Which photos there are, and of whom: a folder with one sub-folder a person, or a table of path and identity."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from reliableswap.errors import ReliableSwapError

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Photo:
    """A picture file. name: its path below the root, with forward slashes; bytes: its size, -1 if it is not there."""

    name: str
    identity: str
    path: Path
    bytes: int = -1
    modified: int = 0  # in nanoseconds

    @property
    def stamp(self) -> str:
        """Tells whether the file is still the one that was looked at."""
        return f"{self.bytes} {self.modified}"


def list_photos(root: Path, flat: Collection[str] = ()) -> list[Photo]:
    """The photos of a folder, or of a .csv or .parquet table with columns path and identity; sorted by name.

    A person is a sub-folder. Photos that lie directly in the folder, or in a sub-folder named in `flat`, are all of
    different people, each called after its file; so twins of one photo in two flat folders stay one person.
    """
    if root.is_dir():
        found = [_in_folder(root, path, flat) for path in _files(root)]
        missing = set(flat) - {part for photo in found for part in photo.name.split("/")[:-1]}
        if missing:
            raise ReliableSwapError(
                f"--flat names {', '.join(sorted(missing))}, but there are no photos in such a folder of {root}"
            )
    elif root.suffix.lower() in {".csv", ".parquet"} and root.is_file():
        rows = _csv_rows(root) if root.suffix.lower() == ".csv" else _parquet_rows(root)
        found = [_photo(name, identity, root.parent / name) for name, identity in rows]
        if len({photo.name for photo in found}) < len(found):
            raise ReliableSwapError(f"{root} lists a path twice; list each photo once")
    else:
        raise ReliableSwapError(
            f"{root} is neither a folder of photos nor a .csv or .parquet table of path and identity"
        )
    if not found:
        raise ReliableSwapError(f"no pictures in {root}; put one sub-folder of photos for each person there")
    return sorted(found, key=lambda photo: photo.name)


def _photo(name: str, identity: str, path: Path) -> Photo:
    try:
        about = path.stat()
    except OSError:
        return Photo(name, identity, path)
    return Photo(name, identity, path, about.st_size, about.st_mtime_ns)


def _files(root: Path) -> Iterator[Path]:
    """Picture files below the root; linked folders are followed, each folder once."""
    seen = set()
    for folder, below, names in os.walk(root, followlinks=True):
        if os.path.realpath(folder) in seen:
            below.clear()
            continue
        seen.add(os.path.realpath(folder))
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in names:
            if Path(name).suffix.lower() in PICTURES and not name.startswith("."):
                yield Path(folder, name)


def _in_folder(root: Path, path: Path, flat: Collection[str]) -> Photo:
    name = path.relative_to(root).as_posix()
    folder = path.parent.relative_to(root).as_posix()
    alone = folder == "." or path.parent.name in flat
    return _photo(name, path.stem if alone else folder, path)


def _csv_rows(table: Path) -> list[tuple[str, str]]:
    with table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        _check_columns(table, reader.fieldnames or [])
        return [(row["path"], row["identity"]) for row in reader]


def _parquet_rows(table: Path) -> list[tuple[str, str]]:
    import pyarrow.parquet as pq

    _check_columns(table, pq.read_schema(table).names)
    columns = pq.read_table(table, columns=["path", "identity"]).to_pydict()
    return [(path, str(person)) for path, person in zip(columns["path"], columns["identity"], strict=True)]


def _check_columns(table: Path, names: Collection[str]) -> None:
    if not {"path", "identity"} <= set(names):
        raise ReliableSwapError(f"{table} has columns {', '.join(names)}; it needs path and identity")
