"""File names of clips: which files are clips, and where a clip can be written."""

from __future__ import annotations

import os
from pathlib import Path

from reliableswap.errors import ClipError
from reliableswap.media.picture import printable

WRITABLE = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}  # extension: FFmpeg's muxer
_NAMES = (*WRITABLE, ".webm", ".m4v", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".3gp", ".flv")


def is_clip_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends like that of a clip."""
    return Path(path).suffix.lower() in _NAMES


def check_clip_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the file that will be written for this path, or raise."""
    shown, asked = printable(os.fspath(path)), Path(path)
    if asked.suffix.lower() not in WRITABLE:
        raise ClipError(f"{shown} can't be written as a clip; end the name with one of {', '.join(WRITABLE)}")
    try:
        target = Path(os.path.realpath(asked))
        if not target.parent.is_dir():
            raise ClipError(f"{shown} can't be written: its folder does not exist; create it first")
        if target.exists() and not target.is_file():
            raise ClipError(f"{shown} is not a regular file; give another name")
        if target.exists() and not overwrite:
            raise ClipError(
                f"{shown} exists already; give another name or allow overwriting (--overwrite, overwrite=True)"
            )
    except (OSError, ValueError) as error:
        if isinstance(error, ClipError):
            raise
        raise ClipError(f"{shown} is not a valid file name ({error}); give another") from error
    return target
