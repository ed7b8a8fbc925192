"""PyAV, imported when a clip is first opened, and its errors in one line."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reliableswap.errors import ClipError, ReliableSwapError
from reliableswap.media.picture import printable

_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
# The only demuxers whose files are read: FFmpeg has hundreds, some of which open further files or addresses.
READABLE = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv"


def pyav() -> Any:
    """Return the module `av`, or raise an error that names the extra."""
    try:
        import av
    except ImportError as error:
        raise ClipError("clips need the extra video: pip install 'reliableswap[video]'") from error
    os.environ.setdefault("SVT_LOG", "1")  # errors only; SVT-AV1 would print its settings
    return av


@contextlib.contextmanager
def clip_errors(name: str, doing: str) -> Iterator[None]:
    """Turn errors of PyAV and the disk into a ClipError; `doing` completes "NAME can't be ..."."""
    av = pyav()
    try:
        yield
    except (ReliableSwapError, FileExistsError):
        raise
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise ClipError(
                f"the disk is full, so {name} can't be {doing}; free some space and run again: finished segments are "
                "kept"
            ) from error
        raise ClipError(f"{name} can't be {doing} ({_reason(error)})") from error
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise ClipError(f"{name} can't be {doing} ({_reason(error)})") from error


def open_clip(path: str | os.PathLike[str], **options: Any) -> Any:
    """Open a file for reading; the caller closes the container."""
    av, shown, file = pyav(), printable(os.fspath(path)), Path(path)
    if file.is_dir():
        raise ClipError(f"{shown} is a folder, not a clip; give one file")
    if not file.is_file():
        raise ClipError(f"there is no file {shown}; check the name and the folder")
    if not file.stat().st_size:
        raise ClipError(f"{shown} is empty; give a clip such as an MP4, MOV or MKV file")
    try:
        container = av.open(f"file:{file.absolute()}", **options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipError(
            f"{shown} is not a clip that can be read ({_reason(error)}); give an intact MP4, MOV, MKV or WebM file"
        ) from error
    if container.format.name not in READABLE or not container.streams.video:
        kind = container.format.name
        container.close()
        problem = "it has no video stream" if kind in READABLE else f"its format {kind} is not supported"
        raise ClipError(
            f"{shown} is not a clip that can be read ({problem}); give an MP4, MOV, MKV or WebM file"
        )
    return container


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:160].rstrip(".")
