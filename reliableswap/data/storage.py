"""Files that are complete or not there, whenever a run is stopped."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a draft beside `path`, then rename it: the file is complete or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        write(draft)
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an .npy file whole."""

    def write(draft: Path) -> None:
        with draft.open("wb") as stream:  # np.save would append .npy to the draft's name
            np.save(stream, array)

    write_whole(path, write)


def sweep(folder: Path, before: float) -> None:
    """Remove the drafts of killed runs: those last written before `before`, in seconds since 1970."""
    for draft in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if draft.stat().st_mtime < before:
                draft.unlink()
