"""Atomic writes: a file is complete or does not exist."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_file(target: Path, *, overwrite: bool, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Yield a stream whose content becomes the file only when it is complete and synced to disk.

    mode: the permissions of a new file, less the umask. Raises FileExistsError for an existing one without `overwrite`.
    """
    draft = target.with_name(f".reliableswap-{secrets.token_hex(8)}.tmp")
    # os.open, because tempfile gives files narrower permissions than the umask does.
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(handle)
        (_replace if overwrite else _move_to_new)(draft, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


@contextlib.contextmanager
def atomic_path(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Like `atomic_file`, for libraries that open files themselves: yield the path to write to."""
    draft = target.with_name(f".reliableswap-{secrets.token_hex(8)}.tmp")
    try:
        yield draft
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        (_replace if overwrite else _move_to_new)(draft, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def _replace(draft: Path, target: Path) -> None:
    with contextlib.suppress(OSError):  # no file to take permissions from, or a file system without them
        draft.chmod(target.stat().st_mode & 0o7777)
    draft.replace(target)


def _move_to_new(draft: Path, target: Path) -> None:
    """Give the draft its name in one step, and raise FileExistsError if the name is taken."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError):
        # No hard links here (FAT, some network drives): claim the name, then fill it.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        draft.replace(target)
