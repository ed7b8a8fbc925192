"""The folder of uploads and results: old files are deleted in the background, and the total size has a quota."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reliableswap.errors import ReliableSwapError

from .limits import IN_USE_SECONDS, KEEP_SECONDS, STORAGE_BYTES, SWEEP_SECONDS

logger = logging.getLogger(__name__)
_RECORD_BYTES = 4096  # counted for a file or folder besides its content, so that many tiny files count too


class StorageFullError(ReliableSwapError):
    """There is no room, and nothing that may be deleted to make some."""

    def __init__(self) -> None:
        super().__init__("the server's storage is full right now; please try again in a few minutes")


@dataclass(frozen=True)
class Entry:
    """A file or folder directly inside the storage, with everything in it."""

    path: Path
    size: int  # bytes
    changed: float  # when it was last written, in seconds since the epoch
    used: float  # when it was last written or read


class Storage:
    """A folder with a quota. Entries are deleted when they are old, and earlier, oldest first, to make room."""

    def __init__(
        self,
        folder: Path,
        *,
        quota: int = STORAGE_BYTES,
        keep_seconds: float = KEEP_SECONDS,
        in_use_seconds: float = IN_USE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.quota = folder, quota
        self.keep_seconds, self.in_use_seconds, self.clock = keep_seconds, in_use_seconds, clock
        self._lock = threading.Lock()
        self._reserved = 0
        self._read_at: dict[Path, float] = {}

    def mark_used(self, path: Path) -> None:
        """Note that a file inside the folder was read just now, so that it is not deleted to make room."""
        entry = self.folder / path.relative_to(self.folder).parts[0]
        with self._lock:
            self._read_at[entry] = self.clock()

    @contextlib.contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the quota while a file is written; raise StorageFullError if there is no room."""
        self.reserve(size)
        try:
            yield
        finally:
            self.release(size)

    def reserve(self, size: int) -> None:
        """Set `size` bytes aside, deleting the oldest unused entries if needed, or raise StorageFullError."""
        with self._lock:
            entries = self._entries()
            excess = sum(entry.size for entry in entries) + self._reserved + size - self.quota
            if excess > 0:
                self._make_room(entries, excess)
            self._reserved += size

    def release(self, size: int) -> None:
        """Give back what `reserve` set aside; what was written meanwhile counts by itself."""
        with self._lock:
            self._reserved -= size

    def sweep(self) -> None:
        """Delete all entries older than `keep_seconds`."""
        with self._lock:
            entries = self._entries()
            for entry in entries:
                if entry.changed < self.clock() - self.keep_seconds:
                    self._delete(entry)
            present = {entry.path for entry in entries}
            self._read_at = {path: read for path, read in self._read_at.items() if path in present}

    def _make_room(self, entries: list[Entry], excess: int) -> None:
        unused = [entry for entry in entries if entry.used < self.clock() - self.in_use_seconds]
        if sum(entry.size for entry in unused) < excess:
            raise StorageFullError
        for entry in sorted(unused, key=lambda entry: entry.used):
            if excess <= 0:
                break
            self._delete(entry)
            excess -= entry.size

    def _entries(self) -> list[Entry]:
        entries = []
        for path in list(self.folder.iterdir()):
            size, changed = 0, 0.0
            for status in _statuses(path):
                size += status.st_size + _RECORD_BYTES
                # Not mtime, which Gradio's copies take from their original.
                changed = max(changed, status.st_ctime)
            entries.append(Entry(path, size, changed, max(changed, self._read_at.get(path, 0.0))))
        return entries

    def _delete(self, entry: Entry) -> None:
        self._read_at.pop(entry.path, None)
        if entry.path.is_dir() and not entry.path.is_symlink():
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            entry.path.unlink(missing_ok=True)


def _statuses(path: Path) -> Iterator[os.stat_result]:
    """The status of a file, or of a folder and everything in it."""
    tree = () if path.is_symlink() else os.walk(path)
    inside = (Path(root, name) for root, folders, files in tree for name in (*folders, *files))
    for file in (path, *inside):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            yield file.lstat()


def sweep_until(stop: threading.Event, storage: Storage, interval: float = SWEEP_SECONDS) -> None:
    """Sweep the storage every `interval` seconds until `stop` is set. It runs in a thread of its own."""
    while not stop.wait(interval):
        try:
            storage.sweep()
        except OSError:
            logger.exception("old files could not be deleted from %s", storage.folder)


@contextlib.contextmanager
def sweeping(storage: Storage, interval: float = SWEEP_SECONDS) -> Iterator[threading.Thread]:
    """Sweep the storage in a background thread while the context lasts."""
    stop = threading.Event()
    thread = threading.Thread(
        target=sweep_until, args=(stop, storage, interval), name="reliableswap-sweeper", daemon=True
    )
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()
