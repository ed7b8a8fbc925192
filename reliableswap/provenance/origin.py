"""Where a picture in memory came from: the file's checksum, and the marks that the file carried."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from .metadata import Mark

_CHUNK = 1 << 20
_JUMBF = b"jumb"  # the type of the boxes that hold C2PA manifests, in every format
MAX_SIGNED_BYTES = 256 << 20  # a larger file's manifest is not kept


@dataclass(frozen=True)
class Origin:
    """What is known about an input.

    sha256: of the file, or of the pixels as 8-bit RGB rows where there was no file. of: "file" or "pixels".
    media_type: of the file. mark: its XMP mark. signed: the whole file, if it carries a C2PA manifest.
    """

    sha256: str
    of: str = "file"
    media_type: str = ""
    mark: Mark | None = None
    signed: bytes | None = field(default=None, repr=False)


def origin_of_file(stream: BinaryIO, media_type: str = "", mark: Mark | None = None) -> Origin:
    """Describe an encoded picture; the stream is read from its beginning."""
    checksum, has_manifest = scan(stream)
    size, content = stream.tell(), None
    if has_manifest and size <= MAX_SIGNED_BYTES:
        stream.seek(0)
        content = stream.read()
    return Origin(checksum, "file", media_type, mark, content)


def origin_of_pixels(pixels: np.ndarray, mark: Mark | None = None) -> Origin:
    """Describe a (H,W,3) uint8 RGB picture that came without a file."""
    digest = hashlib.sha256(np.ascontiguousarray(pixels).data)
    return Origin(digest.hexdigest(), "pixels", mark=mark)


def scan(stream: BinaryIO) -> tuple[str, bool]:
    """Read a stream from its beginning to its end; return its SHA-256 and whether it may hold a C2PA manifest."""
    digest, before, found = hashlib.sha256(), b"", False
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        found = found or _JUMBF in chunk or _JUMBF in before + chunk[: len(_JUMBF)]
        before = chunk[1 - len(_JUMBF) :]
    return digest.hexdigest(), found
