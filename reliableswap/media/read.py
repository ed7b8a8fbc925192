"""Read a picture from a local file, bytes, a stream, a Pillow image or an array."""

from __future__ import annotations

import io
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from reliableswap.errors import PictureError
from reliableswap.provenance.metadata import parse_xmp
from reliableswap.provenance.origin import origin_of_file, origin_of_pixels
from reliableswap.provenance.reading import xmp_packet

from .decode import check_limit, decoder_errors, load, open_image, reduce, strict_pillow
from .modes import scale_key_colour, to_planes
from .picture import Picture, from_array, printable

MAX_PIXELS = 100_000_000
_URL = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)


def read_picture(
    source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | Picture,
    *,
    max_pixels: int | None = None,
    least_side: int | None = None,
    name: str | None = None,
) -> Picture:
    """Return the source as a Picture: upright (H,W,3) uint8 RGB with alpha and colour profile.

    A string is a path, bytes are a file's content, and an array is uint8 RGB, RGBA or grey. The pixel limit
    (default: MAX_PIXELS) is checked on the file's header, before anything is decoded. A Picture is checked only if
    `max_pixels` is given. A source that can't be read completely raises PictureError.

    least_side: let a JPEG file be decoded faster at a half, quarter or eighth of its size, as long as its longer side
    keeps this many pixels; see Picture.reduction.

    name: replaces a stream's own name.
    """
    if isinstance(source, Picture) and max_pixels is None:
        return source
    max_pixels = MAX_PIXELS if max_pixels is None else max_pixels
    if max_pixels < 1:
        raise PictureError(f"max_pixels is {max_pixels}; give a positive number of pixels")
    if isinstance(source, Picture):
        check_limit((source.width, source.height), source.name, max_pixels)
        return source
    if isinstance(source, np.ndarray):
        picture = from_array(source)
        check_limit((picture.width, picture.height), picture.name, max_pixels)
        return picture
    if isinstance(source, Image.Image):
        return _from_image(source, "PIL image", max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_stream(io.BytesIO(source), "bytes", max_pixels, least_side=least_side)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(os.fsdecode(source), max_pixels, least_side)
    if hasattr(source, "read"):
        name = name or printable(str(getattr(source, "name", "stream")))
        return _from_stream(_read_stream(source, name, max_pixels), name, max_pixels, least_side=least_side)
    raise PictureError(
        f"a picture can't be a {type(source).__name__}; give a path, bytes, a binary stream, a PIL image or "
        "a uint8 numpy array"
    )


def _from_path(path: str, max_pixels: int, least_side: int | None) -> Picture:
    shown = printable(path)
    if not path:
        raise PictureError("the picture's file name is empty; give the path of a local file")
    if _URL.match(path):
        raise PictureError(f"{shown} is a web address, but only local files can be read; download it first")
    try:
        # Opened without blocking, so that a named pipe is refused instead of waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise PictureError(_open_error(path, shown, error)) from error
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise PictureError(f"{shown} is {kind}, not a picture; give one image file")
    with os.fdopen(handle, "rb") as stream:
        return _from_stream(stream, shown, max_pixels, printable(Path(path).name), least_side)


def _open_error(path: str, shown: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {shown}; check the name and the folder"
    if isinstance(error, PermissionError):
        if Path(path).is_dir():  # Windows refuses to open a folder
            return f"{shown} is a folder, not a picture; give one image file"
        return f"{shown} can't be read: permission denied; check its permissions"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{shown} can't be opened ({reason}); check the name"


def _read_stream(source: Any, name: str, max_pixels: int) -> BinaryIO:
    """Read a stream into memory, up to what a picture of `max_pixels` can need: 8 bytes per pixel plus metadata."""
    limit = 8 * max_pixels + (64 << 20)
    with decoder_errors(name, "stream"):
        content = source.read(limit + 1)
    if not isinstance(content, bytes):
        raise PictureError(f"{name} is a stream of {type(content).__name__}; open it in binary mode, as 'rb'")
    if len(content) > limit:
        raise PictureError(f"{name} holds more than {limit >> 20} MiB; save it as a file or raise max_pixels")
    return io.BytesIO(content)


def _from_stream(
    stream: BinaryIO, shown: str, max_pixels: int, name: str | None = None, least_side: int | None = None
) -> Picture:
    """shown: the full path, for error messages; name: the file's name, for the Picture."""
    with open_image(stream, shown, max_pixels) as image:
        reduction = reduce(image, least_side) if least_side else 1
        picture = _decoded(image, shown, max_pixels, name)
        form = "JPEG" if image.format == "MPO" else image.format or ""
        mark = parse_xmp(xmp_packet(image))
    with decoder_errors(shown, "file"):
        return replace(
            picture, reduction=reduction, origin=origin_of_file(stream, Image.MIME.get(form, ""), mark)
        )


def _from_image(image: Image.Image, shown: str, max_pixels: int) -> Picture:
    picture = _decoded(image, shown, max_pixels)
    mark = parse_xmp(xmp_packet(image))
    return picture if mark is None else replace(picture, origin=origin_of_pixels(picture.pixels, mark))


def _decoded(image: Image.Image, shown: str, max_pixels: int, name: str | None = None) -> Picture:
    scale_key_colour(image)
    load(image, shown, max_pixels)
    with strict_pillow(max_pixels), decoder_errors(shown, "colour"):
        pixels, alpha, icc = to_planes(image, shown)
    return Picture(pixels, alpha, icc, name or shown, image.format)
