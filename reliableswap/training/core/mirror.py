"""Runs whose output folder is in object storage: they work in a local folder and upload complete files.

A checkpoint's position.json is uploaded last and removed first, and a folder without it does not count as a checkpoint.
So however a run is stopped, the storage holds only complete checkpoints.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from reliableswap.data.storage import (
    as_path,
    is_remote,
    remote_files,
    remove,
    remove_folder,
    upload,
    work_folder,
)
from reliableswap.errors import ReliableSwapError

from .settings import RunSettings
from .state import POSITION_FILE, checkpoints

logger = logging.getLogger(__name__)

_NOT_UPLOADED = {"crops", "labels", "surrogates"}  # not uploaded: they can be made again, and show people


class Mirror:
    """A remote run folder and the local folder that stands in for it."""

    def __init__(self, remote: Path, local: Path) -> None:
        self.remote, self.local = remote, local
        self._sent: dict[str, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Fetch the newest remote checkpoint and the run's top-level files, unless a local checkpoint is as new.

        Only the first rank of a machine fetches.
        """
        if not _first_on_machine():
            return
        with _storage_errors_told(self.remote, "fetched"):
            self._fetch_newest()

    def _fetch_newest(self) -> None:
        steps = sorted(path.parent.name for path in self.remote.glob(f"checkpoint-*/{POSITION_FILE}"))
        here = [path.name for path in checkpoints(self.local)] if self.local.is_dir() else []
        if not steps or (here and here[-1] >= steps[-1]):
            return
        logger.info("fetching %s from %s", steps[-1], self.remote)
        self.local.mkdir(parents=True, exist_ok=True)
        fetch_folder(self.remote / steps[-1], self.local / steps[-1])
        for name, _, _ in remote_files(self.remote):
            if "/" not in name:
                (self.local / name).write_bytes((self.remote / name).read_bytes())

    def push(self) -> None:
        """Upload what changed since the last push, and remove remote checkpoints that were deleted locally."""
        with _storage_errors_told(self.remote, "brought up to date"):
            self._push()

    def _push(self) -> None:
        complete = checkpoints(self.local)
        there = {path.parent.name for path in self.remote.glob(f"checkpoint-*/{POSITION_FILE}")}
        for folder in complete:
            if folder.name not in there:
                self._send_checkpoint(folder)
        for file in sorted(self.local.rglob("*")):
            top = file.relative_to(self.local).parts[0]
            if file.is_file() and not top.startswith("checkpoint-") and top not in _NOT_UPLOADED:
                self._send(file)
        for name in there - {folder.name for folder in complete}:
            self._remove(self.remote / name)

    def _send_checkpoint(self, folder: Path) -> None:
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        for file in sorted(files, key=lambda file: file == folder / POSITION_FILE):
            self._send(file)

    def _send(self, file: Path) -> None:
        name, about = file.relative_to(self.local).as_posix(), file.stat()
        stamp = about.st_size, about.st_mtime_ns
        if self._sent.get(name) != stamp:
            upload(file, self.remote / name)
            self._sent[name] = stamp

    def _remove(self, folder: Path) -> None:
        remove(folder / POSITION_FILE)
        remove_folder(folder)


def mirrored(settings: RunSettings) -> tuple[RunSettings, Mirror | None]:
    """Return the settings with local paths in place of remote ones, and the mirror of a remote output folder."""
    named = _named_checkpoint(settings)
    if named is not None:
        settings = replace(settings, resume_from_checkpoint=str(work_folder(named)))
    remote = as_path(settings.output_dir)
    if not is_remote(remote):
        return settings, None
    mirror = Mirror(remote, work_folder(remote))
    return replace(settings, output_dir=mirror.local), mirror


def fetch_named_checkpoint(settings: RunSettings) -> None:
    """Fetch the remote checkpoint that the settings name, if any, unless it is here. A machine's first rank does so."""
    named = _named_checkpoint(settings)
    if named is None or not _first_on_machine() or (work_folder(named) / POSITION_FILE).is_file():
        return
    with _storage_errors_told(settings.resume_from_checkpoint, "fetched"):
        fetch_folder(named, work_folder(named))


@contextmanager
def _storage_errors_told(place: object, done: str) -> Iterator[None]:
    """Raise a ReliableSwapError for any error of the storage inside the block, so that `on_all` tells all ranks."""
    try:
        yield
    except ReliableSwapError:
        raise
    except Exception as error:  # storage clients raise errors of their own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReliableSwapError(
            f"{place} could not be {done}: {reason}; check the name, the network and your credentials"
        ) from error


def _named_checkpoint(settings: RunSettings) -> Path | None:
    wanted = settings.resume_from_checkpoint
    if not wanted or wanted == "latest" or not is_remote(as_path(wanted)):
        return None
    return as_path(wanted)


def _first_on_machine() -> bool:
    """Whether this is the machine's first rank, which fetches for the others."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def fetch_folder(remote: Path, local: Path) -> None:
    """Copy a remote folder to a temporary local one, then rename it."""
    part = local.with_name(local.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for name, _, _ in remote_files(remote):
        target = part / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((remote / name).read_bytes())
    part.mkdir(parents=True, exist_ok=True)
    part.replace(local)
