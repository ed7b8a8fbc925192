"""Read the XMP mark of a picture file."""

from __future__ import annotations

import io
import os
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from reliableswap.errors import PictureError
from reliableswap.media.decode import NO_PIXEL_LIMIT, open_image
from reliableswap.media.picture import printable

from .embed import PNG_KEYWORD, PNG_SIGNATURE
from .metadata import MAX_PACKET_BYTES, Mark, parse_xmp


def read_mark(source: str | os.PathLike[str] | bytes, name: str | None = None) -> Mark | None:
    """Return the mark in a picture file (a path, or its content), or None if it declares no source type.

    The file may have any format that carries XMP. `name` stands for it in error messages.
    """
    with ExitStack() as stack:
        stream: BinaryIO
        if isinstance(source, bytes):
            stream, shown = io.BytesIO(source), name or "bytes"
        else:
            shown = name or printable(os.fspath(source))
            if not Path(source).is_file():
                raise PictureError(f"there is no picture file {shown}; check the name")
            stream = stack.enter_context(Path(source).open("rb"))
        image = stack.enter_context(open_image(stream, shown, NO_PIXEL_LIMIT))
        packet = xmp_packet(image)
        if not packet and image.format == "PNG":
            packet = _late_png_xmp(stream)
    return parse_xmp(packet)


def xmp_packet(image: Image.Image) -> object:
    """Return the XMP that Pillow found in a picture so far, or None."""
    return image.info.get("xmp") or image.info.get(PNG_KEYWORD.decode())


def _late_png_xmp(stream: BinaryIO) -> bytes | None:
    """Return a PNG's XMP that follows its pixels, which Pillow finds only after decoding them."""
    stream.seek(len(PNG_SIGNATURE))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"iTXt" and length <= MAX_PACKET_BYTES:
            keyword, _, rest = stream.read(length).partition(b"\0")
            # Not compressed, as the XMP specification asks.
            if keyword == PNG_KEYWORD and rest[:2] == b"\0\0":
                return rest[2:].split(b"\0", 2)[-1]
            stream.seek(4, os.SEEK_CUR)
        else:
            stream.seek(length + 4, os.SEEK_CUR)
    return None
