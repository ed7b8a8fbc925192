"""Files from clients and files for clients, all inside one folder that only this process reads and writes."""

from __future__ import annotations

import atexit
import functools
import io
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture, write_picture
from reliableswap.media.picture import printable

from .limits import KEEP_SECONDS, MAX_BYTES, MAX_MEGABYTES, MAX_PIXELS, SWEEP_SECONDS

_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")


@functools.cache
def folder() -> Path:
    """The folder of uploads and results: of this process alone, readable by its user alone, gone when it ends.

    Gradio takes it from the environment when a component is made, so this is called before the first one.
    """
    made = tempfile.mkdtemp(prefix="reliableswap-")  # mode 0700
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(Path(made).resolve())
    return Path(made).resolve()


class _Named(io.BytesIO):
    """A file's content under the name its owner gave it: messages then hold no path of this machine."""

    name: str


def read_upload(file: Mapping[str, Any] | None, what: str) -> Picture:
    """The picture of an upload, as Gradio hands it over; `what` it is for goes into the messages."""
    path = uploaded_path(file, what)
    name = printable(str((file or {}).get("orig_name") or path.name), 80)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise PictureError(
            f"{name} has {size / (1 << 20):.1f} MB, and a picture may have {MAX_MEGABYTES}; make it smaller"
        )
    stream = _Named(path.read_bytes())
    stream.name = name
    return read_picture(stream, max_pixels=MAX_PIXELS)


def uploaded_path(file: Mapping[str, Any] | None, what: str) -> Path:
    """The file's place, only if it lies in our folder: what a client calls a path is no reason to open it."""
    given = (file or {}).get("path")
    if not given:
        raise PictureError(f"there is no {what}; add a picture")
    path = Path(str(given)).resolve()
    if not path.is_relative_to(folder()) or not path.is_file():
        raise PictureError(
            f"the {what} is no longer here; files are kept for an hour, please upload it again"
        )
    return path


def publish(picture: Picture, name: str, *, ai_made: bool, metadata: Mapping[str, str] | None = None) -> str:
    """Write the picture under an address that nobody can guess, marked if AI made it; return the path.

    `name` may come from a client: only letters, digits, dots and dashes of it are kept.
    """
    sweep()
    place = folder() / uuid.uuid4().hex
    place.mkdir(mode=0o700)
    stem, dot, extension = name.rpartition(".")
    stem = _NOT_IN_A_NAME.sub("-", stem).strip("-.")[:60] or "picture"
    path = place / f"{stem}{dot}{extension}"
    return str(write_picture(picture, path, ai_made=ai_made, metadata=metadata if ai_made else None))


_swept = 0.0


def sweep(now: float | None = None) -> None:
    """Remove what is older than an hour, now and then.

    Gradio deletes the files it knows of by itself; this gets the rest too (those of MCP calls, empty folders).
    """
    global _swept
    now = now or time.time()
    if now - _swept < SWEEP_SECONDS:
        return
    _swept = now
    for place in folder().iterdir():
        try:
            files = [place, *place.rglob("*")]
            if max(file.stat().st_ctime for file in files) < now - KEEP_SECONDS:
                shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink()
        except FileNotFoundError:  # Gradio got it first
            continue
