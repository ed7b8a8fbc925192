"""Add the mark to an encoded JPEG or PNG in memory, without decoding its pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from reliableswap.errors import PictureError

from .metadata import mark_xmp

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEYWORD = b"XML:com.adobe.xmp"
MAX_JPEG_XMP = 65504  # bytes of XMP that fit into one APP1 segment beside its header
_JPEG_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"
_IHDR_END = len(PNG_SIGNATURE) + 25  # the IHDR chunk: length, type, 13 bytes, checksum


def mark_bytes(data: bytes, details: Mapping[str, str] | None = None) -> bytes:
    """Return the JPEG or PNG file `data`, which has no XMP yet, with the mark of an AI-made picture.

    The pixels stay bit-identical. details: further facts for the mark, as in `metadata.mark_xmp`.
    """
    xmp = mark_xmp(details)
    if data.startswith(b"\xff\xd8"):
        return _into_jpeg(data, xmp)
    if data.startswith(PNG_SIGNATURE):
        return _into_png(data, xmp)
    raise PictureError(
        f"{len(data)} bytes that are neither JPEG nor PNG can't be marked; encode the picture first"
    )


def check_jpeg_xmp(xmp: bytes, name: str) -> None:
    """Raise if the packet does not fit into a JPEG file."""
    if len(xmp) > MAX_JPEG_XMP:
        raise PictureError(
            f"the metadata for {name} takes {len(xmp)} bytes and JPEG holds {MAX_JPEG_XMP}; shorten it"
        )


def _into_jpeg(data: bytes, xmp: bytes) -> bytes:
    check_jpeg_xmp(xmp, "this picture")
    start = 2
    while data[start : start + 2] in (b"\xff\xe0", b"\xff\xe1"):  # JFIF and EXIF come before XMP
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    content = _JPEG_NAMESPACE + xmp
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return data[:start] + segment + data[start:]


def _into_png(data: bytes, xmp: bytes) -> bytes:
    content = b"iTXt" + PNG_KEYWORD + bytes(5) + xmp  # not compressed, no language, no translated keyword
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return data[:_IHDR_END] + chunk + data[_IHDR_END:]
