"""Files on disk or in object storage, written atomically: complete or absent, whenever a run is stopped.

A place is a local path or a URL that fsspec opens: s3://, gs://, hf://, memory:// and others. `as_path` gives both the
methods of pathlib.Path, so code that reads and writes need not tell them apart. Files are written only by
`write_atomic` and its like; files that have to be memory-mapped or searched are fetched by `local_copy`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from reliableswap.errors import ReliableSwapError

# Stores whose files appear only when an upload is finished. On others, a draft is uploaded and then renamed.
_ATOMIC_UPLOADS = {"s3", "s3a", "gs", "gcs", "hf"}
# pathlib drops one of the slashes of a URL.
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]+):/{1,3}(?P<rest>.*)")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


def as_path(place: str | os.PathLike[str]) -> Path:
    """Return a local path, or for a URL an object with the methods of one."""
    if not isinstance(place, (str, Path)) and is_remote(cast(Path, place)):
        return cast(Path, place)
    text = os.fspath(place)
    url = _URL.fullmatch(text)
    if url is None or Path(text).exists():
        return Path(text)
    scheme, rest = url["scheme"].lower(), url["rest"]
    if scheme == "file":
        return Path("/" + rest.lstrip("/"))
    try:
        from upath import UPath

        # A cached listing would hide what other processes have written since.
        options = {} if scheme == "memory" else {"use_listings_cache": False}
        found = UPath(f"{scheme}://{rest}", **options)
        _ = found.fs
    except ImportError as error:
        extra = _EXTRAS.get(scheme, "train")
        raise ReliableSwapError(
            f"{scheme}:// needs more packages ({error}); run: pip install -e '.[{extra}]'"
        ) from error
    except ValueError as error:
        raise ReliableSwapError(
            f"{text} can't be opened: {error}; use a path, s3://, gs:// or hf://"
        ) from error
    return cast(Path, found)


def is_remote(path: Path) -> bool:
    """Whether a path of `as_path` is not on this machine's disks."""
    return not isinstance(path, Path)


def readable(path: Path) -> Path | BinaryIO:
    """Return what pyarrow can read: the path, or a stream of a remote file that fetches only the parts read."""
    return cast(BinaryIO, path.open("rb")) if is_remote(path) else path


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a local draft, then move it into place: the file is complete or absent."""
    with draft_beside(path) as draft:
        write(draft)
        put_draft(draft, path)


@contextlib.contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """Yield the name of a local draft of a file, for `put_draft`. A draft that is not moved into place is removed."""
    if is_remote(path):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, path.name)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def put_draft(draft: Path, path: Path) -> None:
    """Move a finished draft into place. `path` may be another name in the folder that the draft was made for."""
    if is_remote(path):
        upload(draft, path)
        return
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    draft.replace(path)


def write_atomic_named(path: Path, write: Callable[[Path], object]) -> None:
    """As write_atomic, for a `write` that depends on the file's name and is atomic itself."""
    if is_remote(path):
        write_atomic(path, write)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomic(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an .npy file atomically."""

    def write(draft: Path) -> None:
        with draft.open("wb") as stream:  # np.save would append .npy to the draft's name
            np.save(stream, array)

    write_atomic(path, write)


def upload(file: Path, path: Path) -> None:
    """Copy a local file to a remote place, where it appears only when it is complete."""
    files, target = _files(path)
    if path.protocol in _ATOMIC_UPLOADS:  # type: ignore[attr-defined]
        files.put_file(str(file), target)
        return
    draft = str(path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp").path)  # type: ignore[attr-defined]
    files.makedirs(target.rpartition("/")[0], exist_ok=True)
    try:
        files.put_file(str(file), draft)
        files.mv(draft, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            files.rm_file(draft)


def remote_files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield every file below a remote folder: its relative name, its size in bytes, and a number that changes with its
    content."""
    files, root = _files(folder)
    base = root.strip("/")
    for name, about in files.find(root, detail=True).items():
        below = name.strip("/").removeprefix(base).strip("/")
        if ".." in below.split("/"):
            raise ReliableSwapError(f"{folder} holds a file called {below}; rename it to one without ..")
        yield below, int(about["size"] or 0), version(about)


class FolderListing:
    """The names of a folder's files, for `name in names`.

    If a name is missing, the folder is listed again, but only if the last listing is older than `age` seconds: many
    queries cost one listing.
    """

    def __init__(self, folder: Path, age: float = 0.4) -> None:
        self.folder, self.age = folder, age
        self._found: set[str] = set()
        self._at = -math.inf

    def __contains__(self, name: str) -> bool:
        if name not in self._found and time.monotonic() - self._at > self.age:
            self._found = self._listed()
            self._at = time.monotonic()
        return name in self._found

    def _listed(self) -> set[str]:
        try:
            if is_remote(self.folder):
                files, folder = _files(self.folder)
                return {name.rstrip("/").rpartition("/")[2] for name in files.ls(folder, detail=False)}
            return {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:
            return set()


def remove(path: Path) -> None:
    """Remove a file, if it exists. Not every store's paths have `unlink`."""
    if not is_remote(path):
        path.unlink(missing_ok=True)
        return
    files, name = _files(path)
    with contextlib.suppress(FileNotFoundError):
        files.rm_file(name)


def remove_folder(folder: Path) -> None:
    """Remove a remote folder with all files below it."""
    files, name = _files(folder)
    with contextlib.suppress(FileNotFoundError):
        files.rm(name, recursive=True)


def version(about: dict[str, Any]) -> int:
    """Return a number that changes with a remote file's content. about: fsspec's info on the file."""
    for key in ("ETag", "etag", "md5Hash", "blob_id", "LastModified", "last_modified", "mtime", "created"):
        if about.get(key) is not None:
            return int(hashlib.sha256(str(about[key]).encode()).hexdigest()[:15], 16)
    return int(about.get("size") or 0)


def local_copy(path: Path) -> Path:
    """Return the path itself, or the path of a local copy of a remote file, made once for each version of it.

    Copies are kept in RELIABLESWAP_CACHE, or ~/.cache/reliableswap; the folder may be removed when no run uses it.
    """
    if not is_remote(path):
        return path
    files, name = _files(path)
    about = files.info(name)
    key = hashlib.sha256(f"{path} {about['size']} {version(about)}".encode()).hexdigest()[:24]
    kept = cache_folder() / "files" / key / path.name
    if not kept.is_file():
        write_atomic(kept, lambda draft: files.get_file(name, str(draft)))
    return kept


def local_folder(path: Path) -> Path:
    """Return the folder itself, or a local copy of a remote one with all files below it; see `local_copy`."""
    if not is_remote(path):
        return path
    listed = sorted(remote_files(path))
    key = hashlib.sha256(f"{path} {listed}".encode()).hexdigest()[:24]
    kept = cache_folder() / "folders" / key / (path.name or "folder")
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".") as scratch:
            for name, _, _ in listed:
                target = Path(scratch, kept.name, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.fs.get_file(str((path / name).path), str(target))  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):  # another process was faster
                Path(scratch, kept.name).rename(kept)
    return kept


def cache_folder() -> Path:
    """Where copies of remote files are kept."""
    return Path(os.environ.get("RELIABLESWAP_CACHE") or Path.home() / ".cache" / "reliableswap")


def work_folder(place: str | os.PathLike[str]) -> Path:
    """Return the folder itself, or for a remote one the local folder that a run works in instead."""
    path = as_path(place)
    if not is_remote(path):
        return path
    key = hashlib.sha256(str(path).rstrip("/").encode()).hexdigest()[:12]
    return cache_folder() / "runs" / key / path.name


def remove_stale_drafts(folder: Path, before: float) -> None:
    """Remove the drafts of killed runs: those last written before `before`, in seconds since 1970."""
    for draft in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if 0 < draft.stat().st_mtime < before:  # some stores report no time
                remove(draft)


def _files(path: Path) -> tuple[Any, str]:
    """fsspec's file system of a remote path, and the path in it."""
    return path.fs, str(path.path)  # type: ignore[attr-defined]
