"""Files from clients and files for clients, all in one folder that only this process reads and writes."""

from __future__ import annotations

import atexit
import functools
import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliableswap.errors import PictureError
from reliableswap.media import Picture, read_picture
from reliableswap.media.picture import printable
from reliableswap.provenance.copies import write_copy
from reliableswap.provenance.record import Record
from reliableswap.provenance.seal import seal

from .limits import MAX_BYTES, MAX_MEGABYTES, MAX_PIXELS
from .storage import Storage

File = Mapping[str, Any]  # a file as Gradio passes it: path, orig_name, ...
_NOT_IN_A_NAME = re.compile(r"[^\w.-]+")


@functools.cache
def shared_storage() -> Storage:
    """Create this process's folder of uploads and results, readable by its user only and deleted at exit.

    Gradio takes the folder from the environment when a component is made, so call this before the first one.
    """
    folder = Path(tempfile.mkdtemp(prefix="reliableswap-")).resolve()  # mode 0700
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return Storage(folder)


def read_upload(file: File | None, what: str) -> Picture:
    """Read the picture of an upload; `what` names its purpose in error messages."""
    path = uploaded_path(file, what)
    name = upload_name(file, path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise PictureError(
            f"{name} has {size / (1 << 20):.1f} MB (the limit is {MAX_MEGABYTES} MB); make it smaller"
        )
    # Named as on the client's machine, so that error messages hold no path of this server.
    return read_picture(io.BytesIO(path.read_bytes()), max_pixels=MAX_PIXELS, name=name)


def upload_name(file: File | None, path: Path) -> str:
    """Return the name that an upload had on the client's machine."""
    return printable(str((file or {}).get("orig_name") or path.name), 80)


def uploaded_path(file: File | None, what: str, kind: str = "a picture") -> Path:
    """Return the path of an upload, or raise if it is not a file in our folder: clients may send any path."""
    given = (file or {}).get("path")
    if not given:
        raise PictureError(f"there is no {what}; add {kind}")
    path = Path(str(given)).resolve()
    if not path.is_relative_to(shared_storage().folder) or not path.is_file():
        raise PictureError(
            f"the {what} is no longer here; files are kept for about an hour, please upload it again"
        )
    shared_storage().mark_used(path)
    return path


def publish(picture: Picture, name: str, record: Record | None, action: str = "copied") -> str:
    """Write the picture under a path that nobody can guess, and return the path.

    record: what AI did to the picture, which is labelled and marked. None if AI did nothing: existing marks are carried
    over, with `action` added to their history.

    `name` may come from a client: only its letters, digits, dots and dashes are kept.
    """
    stem, dot, extension = name.rpartition(".")
    stem = _NOT_IN_A_NAME.sub("-", stem).strip("-.")[:60] or "picture"
    # Twice, because Gradio keeps a copy of its own. No format takes more bytes than the raw pixels, apart from headers.
    room = 2 * (picture.width * picture.height * (3 if picture.alpha is None else 4) + (1 << 16))
    if record is not None and record.target is not None:
        room += 2 * len(record.target.signed or b"")  # its manifest is carried over
    with shared_storage().reserved(room):
        place = shared_storage().folder / uuid.uuid4().hex
        place.mkdir(mode=0o700)
        path = place / f"{stem}{dot}{extension}"
        if record is None:
            return str(write_copy(picture, path, action))
        return str(seal(picture, path, record, label=True))
