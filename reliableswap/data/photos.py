"""The photos of a folder with one sub-folder per person, or of a table of path and identity."""

from __future__ import annotations

import csv
import errno
import io
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reliableswap.errors import PictureError, ReliableSwapError
from reliableswap.media import read_picture

from .storage import as_path, is_remote, readable, remote_files

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
_WAITS = (0.1, 0.5)  # seconds before a photo is read again


@dataclass(frozen=True)
class Photo:
    """A picture file.

    name: its path below the root, with forward slashes; identity: whose face it shows; bytes: its size, -1 if there is
    no such file; modified: in nanoseconds since 1970.
    """

    name: str
    identity: str
    path: Path
    bytes: int = -1
    modified: int = 0

    @property
    def stamp(self) -> str:
        """Changes with the file."""
        return f"{self.bytes} {self.modified}"


def list_photos(root: Path, flat: Collection[str] = ()) -> list[Photo]:
    """List the photos of a folder, or of a .csv or .parquet table with columns path and identity, sorted by name.

    A sub-folder is a person. Every photo directly in the folder, or in a sub-folder whose name is in `flat`, shows
    another person, who is called after the file; so a photo with a copy in a second flat folder stays one person.
    """
    root = as_path(root)
    if root.is_dir():
        found = (
            _remote_photos(root, flat)
            if is_remote(root)
            else [_in_folder(root, p, flat) for p in _files(root)]
        )
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
    """Picture files below the root. Linked folders are followed, each folder once."""
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
    return _photo(name, _identity(name, flat), path)


def _remote_photos(root: Path, flat: Collection[str]) -> list[Photo]:
    """The photos below a remote folder, from one listing."""
    found = []
    for path, size, version in remote_files(root):
        name = path.relative_to(root).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if Path(name).suffix.lower() in PICTURES and not hidden:
            found.append(Photo(name, _identity(name, flat), path, size, version))
    return found


def _identity(name: str, flat: Collection[str]) -> str:
    """Whose face a photo of that name below the root shows."""
    folder, _, file = name.rpartition("/")
    alone = not folder or folder.rpartition("/")[2] in flat
    return Path(file).stem if alone else folder


def _csv_rows(table: Path) -> list[tuple[str, str]]:
    with io.StringIO(table.read_bytes().decode("utf-8-sig"), newline="") as stream:
        reader = csv.DictReader(stream)
        _check_columns(table, reader.fieldnames or [])
        return [(row["path"], row["identity"]) for row in reader]


def _parquet_rows(table: Path) -> list[tuple[str, str]]:
    import pyarrow.parquet as pq

    _check_columns(table, pq.read_schema(readable(table)).names)
    columns = pq.read_table(readable(table), columns=["path", "identity"]).to_pydict()
    return [(path, str(person)) for path, person in zip(columns["path"], columns["identity"], strict=True)]


def _check_columns(table: Path, names: Collection[str]) -> None:
    if not {"path", "identity"} <= set(names):
        raise ReliableSwapError(f"{table} has columns {', '.join(names)}; it needs path and identity")


def read_photo(photo: Photo) -> np.ndarray:
    """(H,W,3) uint8 RGB of a photo.

    A file whose content is no picture raises PictureError, every time. A file that can't be read just now (network
    drives, permissions, memory) is tried again, then raises OSError or MemoryError.
    """
    for wait in (*_WAITS, None):
        try:
            return read_picture(_content(photo.path) if is_remote(photo.path) else photo.path).pixels
        except PictureError as error:
            trouble = _trouble(error)
            if (
                trouble is None or photo.bytes < 0
            ):  # a listed file that never was there stays an error of its list
                raise
            if wait is None:
                raise trouble from error
        time.sleep(wait)
    raise AssertionError


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path} can't be read: {error}") from error
    except Exception as error:  # clients have errors of their own
        raise PictureError(f"{path} can't be read: {error}") from OSError(errno.EIO, str(error))


def _trouble(error: BaseException | None) -> OSError | MemoryError | None:
    """The operating system's error behind a PictureError, if there is one."""
    while error is not None:
        # Decoders raise OSError without a number, or EINVAL where damaged data points outside the file.
        if isinstance(error, MemoryError) or (
            isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
        ):
            return error
        error = error.__cause__ or error.__context__
    return None
