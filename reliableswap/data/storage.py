"""Files, here or in object storage, that are complete or not there, whenever a run is stopped.

A place is a local path or a URL that fsspec opens: s3://, gs://, hf://, memory:// and others. `as_path` gives either
the methods of pathlib.Path, so code that reads and writes does not ask which it has. Files are written by
`write_whole` and its like alone; files that have to be mapped or searched are fetched by `local_copy`.
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

# Their files appear when an upload is finished, and not before. Elsewhere files are uploaded aside and moved.
_WHOLE_UPLOADS = {"s3", "s3a", "gs", "gcs", "hf"}
# pathlib takes one of the slashes of a URL away.
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]+):/{1,3}(?P<rest>.*)")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


def as_path(place: str | os.PathLike[str]) -> Path:
    """A local path, or an object with the methods of one for the URL of a file or folder elsewhere."""
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

        # A listing that is kept would hide what other processes wrote meanwhile.
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
    """What pyarrow reads: the path, or a stream of a remote file that fetches only the parts that are asked for."""
    return cast(BinaryIO, path.open("rb")) if is_remote(path) else path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a local draft, then put it into its place: the file is complete or not there."""
    with draft_beside(path) as draft:
        write(draft)
        put_draft(draft, path)


@contextlib.contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """The name of a local draft of a file, for `put_draft`; a draft that is not put is removed."""
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
    """Put a finished draft into its place, which may have another name in the same folder."""
    if is_remote(path):
        upload(draft, path)
        return
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    draft.replace(path)


def write_named(path: Path, write: Callable[[Path], object]) -> None:
    """As write_whole for a `write` that looks at the file's name and is atomic itself."""
    if is_remote(path):
        write_whole(path, write)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an .npy file whole."""

    def write(draft: Path) -> None:
        with draft.open("wb") as stream:  # np.save would append .npy to the draft's name
            np.save(stream, array)

    write_whole(path, write)


def upload(file: Path, path: Path) -> None:
    """Copy a local file to a remote place, where it appears when it is complete."""
    files, target = _files(path)
    if path.protocol in _WHOLE_UPLOADS:  # type: ignore[attr-defined]
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
    """Every file below a remote folder: its name below it, its bytes, and a number that changes with its content."""
    files, root = _files(folder)
    base = root.strip("/")
    for name, about in files.find(root, detail=True).items():
        below = name.strip("/").removeprefix(base).strip("/")
        if ".." in below.split("/"):
            raise ReliableSwapError(f"{folder} holds a file called {below}; rename it without ..")
        yield below, int(about["size"] or 0), version(about)


class Names:
    """The names of a folder's files: `name in names`. The folder is listed again where a name is missing and the last
    listing is older than `age` seconds, so that many questions cost one listing."""

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
    """Remove a file, if it is there; not every store's paths have `unlink`."""
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
    """A number that changes with a remote file's content, from what fsspec says about it."""
    for key in ("ETag", "etag", "md5Hash", "blob_id", "LastModified", "last_modified", "mtime", "created"):
        if about.get(key) is not None:
            return int(hashlib.sha256(str(about[key]).encode()).hexdigest()[:15], 16)
    return int(about.get("size") or 0)


def local_copy(path: Path) -> Path:
    """The path itself, or of a remote file a copy on this machine, made once for each version of it.

    Copies lie in RELIABLESWAP_CACHE, or ~/.cache/reliableswap; remove the folder when no run uses it.
    """
    if not is_remote(path):
        return path
    files, name = _files(path)
    about = files.info(name)
    key = hashlib.sha256(f"{path} {about['size']} {version(about)}".encode()).hexdigest()[:24]
    kept = cache_folder() / "files" / key / path.name
    if not kept.is_file():
        write_whole(kept, lambda draft: files.get_file(name, str(draft)))
    return kept


def local_folder(path: Path) -> Path:
    """The folder itself, or of a remote one a copy on this machine with all files below it, as `local_copy`."""
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
            with contextlib.suppress(OSError):  # another process was quicker
                Path(scratch, kept.name).rename(kept)
    return kept


def cache_folder() -> Path:
    """Where copies of remote files are kept."""
    return Path(os.environ.get("RELIABLESWAP_CACHE") or Path.home() / ".cache" / "reliableswap")


def work_folder(place: str | os.PathLike[str]) -> Path:
    """The folder itself, or of a remote one the folder of this machine that a run works in instead."""
    path = as_path(place)
    if not is_remote(path):
        return path
    key = hashlib.sha256(str(path).rstrip("/").encode()).hexdigest()[:12]
    return cache_folder() / "runs" / key / path.name


def sweep(folder: Path, before: float) -> None:
    """Remove the drafts of killed runs: those last written before `before`, in seconds since 1970."""
    for draft in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if 0 < draft.stat().st_mtime < before:  # some stores tell no time
                remove(draft)


def _files(path: Path) -> tuple[Any, str]:
    """fsspec's file system of a remote path, and the path in it."""
    return path.fs, str(path.path)  # type: ignore[attr-defined]
