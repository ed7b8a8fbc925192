"""The photos of a folder with one sub-folder per person, or of a table of path and identity."""

from __future__ import annotations

import csv
import errno
import io
import itertools
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
_RETRY_DELAYS = (0.1, 0.5)  # seconds


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
        """A text that changes with the file."""
        return f"{self.bytes} {self.modified}"


@dataclass(frozen=True, slots=True)
class ScannedPhoto:
    """What a scan finds of a photo; see Photo."""

    name: str
    identity: str
    bytes: int = -1
    modified: int = 0


def list_photos(root: Path, flat: Collection[str] = ()) -> list[Photo]:
    """List the photos of a folder, or of a .csv or .parquet table with columns path and identity, sorted by name.

    Each sub-folder is one person. Every photo directly in the folder, or in a sub-folder whose name is in `flat`, shows
    a different person, who is named after the file; so a photo and its copy in a second flat folder are one person.
    """
    base, found = scan(root, flat)
    photos = sorted(
        (Photo(one.name, one.identity, base / one.name, one.bytes, one.modified) for one in found),
        key=lambda photo: photo.name,
    )
    for one, other in itertools.pairwise(photos):
        if one.name == other.name:
            raise ReliableSwapError(f"{root} lists {one.name} twice; list each photo once")
    return photos


def scan(root: Path, flat: Collection[str] = ()) -> tuple[Path, Iterator[ScannedPhoto]]:
    """Return the folder that photos' names are relative to, and the photos in any order; see list_photos."""
    root = as_path(root)
    if root.is_dir():
        return root, _in_folder(root, flat)
    if root.suffix.lower() in {".csv", ".parquet"} and root.is_file():
        return root.parent, _in_table(root)
    raise ReliableSwapError(
        f"{root} is neither a folder of photos nor a .csv or .parquet table of path and identity"
    )


def _in_folder(root: Path, flat: Collection[str]) -> Iterator[ScannedPhoto]:
    missing, empty = set(flat), True
    for name, size, changed in _remote_files(root) if is_remote(root) else _local_files(root):
        folder, _, file = name.rpartition("/")
        if file.startswith(".") or _stem_and_ending(file)[1].lower() not in PICTURES:
            continue
        if missing:
            missing.difference_update(folder.split("/"))
        empty = False
        yield ScannedPhoto(name, _identity(folder, file, flat), size, changed)
    if missing:
        raise ReliableSwapError(
            f"--flat names {', '.join(sorted(missing))}, but no folder of that name in {root} has photos"
        )
    if empty:
        raise _no_pictures(root)


def _in_table(table: Path) -> Iterator[ScannedPhoto]:
    rows = _csv_rows(table) if table.suffix.lower() == ".csv" else _parquet_rows(table)
    if not rows:
        raise _no_pictures(table)
    for name, identity in rows:
        try:
            about = (table.parent / name).stat()
            yield ScannedPhoto(name, identity, about.st_size, about.st_mtime_ns)
        except OSError:
            yield ScannedPhoto(name, identity)


def _no_pictures(root: Path) -> ReliableSwapError:
    return ReliableSwapError(f"no pictures in {root}; put a sub-folder of photos for each person there")


def _local_files(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of all files below the root. Follow links to folders, but visit each folder once."""
    seen, left = set(), [""]
    while left:
        below = left.pop()
        folder = f"{root}/{below}"
        if (real := os.path.realpath(folder)) in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir():
                if not entry.name.startswith("."):
                    left.append(f"{below}{entry.name}/")
                continue
            try:
                about = entry.stat()
                yield f"{below}{entry.name}", about.st_size, about.st_mtime_ns
            except OSError:
                yield f"{below}{entry.name}", -1, 0


def _remote_files(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the same for a remote folder, from one listing."""
    for name, size, changed in remote_files(root):
        if not any(part.startswith(".") for part in name.split("/")):
            yield name, size, changed


def _identity(folder: str, file: str, flat: Collection[str]) -> str:
    """Whose face a photo shows; folder: the names of the folders below the root."""
    alone = not folder or folder.rpartition("/")[2] in flat
    return _stem_and_ending(file)[0] if alone else folder


def _stem_and_ending(file: str) -> tuple[str, str]:
    """Split like pathlib's stem and suffix, but several times as fast."""
    stem, dot, ending = file.rpartition(".")
    return (stem, dot + ending) if stem else (file, "")


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
        raise ReliableSwapError(f"{table} has the columns {', '.join(names)}; it needs path and identity")


def read_photo(photo: Photo) -> np.ndarray:
    """(H,W,3) uint8 RGB of a photo; see read_reduced."""
    return read_reduced(photo, None)[0]


def read_reduced(photo: Photo, least_side: int | None) -> tuple[np.ndarray, int]:
    """(H,W,3) uint8 RGB of a photo, and the factor by which it is reduced: 2, 4 or 8 for a large JPEG file whose longer
    side keeps `least_side` pixels, else 1.

    A file whose content is not a picture raises PictureError at once. A file that can't be read just now (network
    drives, permissions, memory) is tried again, then raises OSError or MemoryError.
    """
    for wait in (*_RETRY_DELAYS, None):
        try:
            content = _content(photo.path) if is_remote(photo.path) else photo.path
            picture = read_picture(content, least_side=least_side)
            return picture.pixels, picture.reduction
        except PictureError as error:
            trouble = _system_error(error)
            if (
                trouble is None or photo.bytes < 0
            ):  # a listed file that never existed is an error of the list, and waiting does not help
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
    except Exception as error:  # storage clients raise errors of their own
        raise PictureError(f"{path} can't be read: {error}") from OSError(errno.EIO, str(error))


def _system_error(error: BaseException | None) -> OSError | MemoryError | None:
    """The operating system's error behind a PictureError, if there is one."""
    while error is not None:
        # Decoders raise OSError without a number, or EINVAL where damaged data points outside the file.
        if isinstance(error, MemoryError) or (
            isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
        ):
            return error
        error = error.__cause__ or error.__context__
    return None
