"""Open and decode an untrusted image file, or raise a PictureError that says in one line why it failed."""

from __future__ import annotations

import contextlib
import importlib
import threading
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError, features

from reliableswap.errors import PictureError

# The only decoders that may open a file. Pillow has forty more, some of which start other programs.
_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "MPO": "MpoImagePlugin",  # a JPEG with further pictures behind it, such as the depth and gain maps of phones
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "TIFF": "TiffImagePlugin",
    "BMP": "BmpImagePlugin",
    "GIF": "GifImagePlugin",
    "AVIF": "AvifImagePlugin",  # not in every build of Pillow
}
NO_PIXEL_LIMIT = 1 << 40  # for `open_image` alone: reading the header of a large picture is safe
READABLE = "JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"

# Signatures that tell what an unreadable file most likely is: (offset, bytes there, name).
_SIGNATURES = [
    (0, b"PK\x03\x04", "a zip archive or an office document"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\x00\x00\x01\x00", "a Windows icon"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (4, b"ftyphei", "an HEIC picture"),
    (4, b"ftyphev", "an HEIC picture"),
    (4, b"ftypmif1", "an HEIF picture"),
    (4, b"ftypavi", "a broken AVIF" if features.check("avif") else "an AVIF, which this Pillow can't read"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (8, b"AVI ", "a video"),
    (0, b"\x89PNG", "a broken PNG"),
    (0, b"\xff\xd8", "a broken JPEG"),
    (0, b"GIF8", "a broken GIF"),
    (8, b"WEBP", "a broken WebP"),
    (0, b"II*\x00", "a broken TIFF"),
    (0, b"MM\x00*", "a broken TIFF"),
    (0, b"BM", "a broken BMP"),
]

_pillow_lock = threading.RLock()


@contextlib.contextmanager
def strict_pillow(max_pixels: int) -> Iterator[None]:
    """Inside, make Pillow enforce our pixel limit, refuse truncated files and print no warnings.

    These settings are global to the process: a lock lets one thread decode at a time, and they are restored afterwards.
    """
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = max_pixels, False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def open_image(stream: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    """Read the header of the picture in a stream and check its size, without decoding pixels."""
    with strict_pillow(max_pixels), decoder_errors(name, "header"):
        head = stream.read(1024)
        if not head:
            raise PictureError(
                f"{name} is empty, or has already been read to its end; give a {READABLE} picture"
            )
        try:
            image = Image.open(stream, formats=_formats())
        except UnidentifiedImageError as error:
            raise PictureError(
                f"{name} is not a picture that can be read ({_guess_kind(head)}); give {READABLE}"
            ) from error
        check_limit(image.size, name, max_pixels)
        return image


def reduce(image: Image.Image, least: int) -> int:
    """Let a JPEG decode at a half, quarter or eighth of its width and height, in a fraction of the time.

    Return the factor: 2, 4 or 8, or 1 for smaller files and other formats, which are not reduced. The longer side keeps
    at least `least` pixels. The whole file is read in any case, so damage is found.
    """
    longest = max(image.size)
    factor = next((n for n in (8, 4, 2) if longest >= n * least), 1)
    if factor == 1 or image.format not in ("JPEG", "MPO"):
        return 1
    image.draft(image.mode, (image.width // factor, image.height // factor))
    return round(longest / max(image.size))


def load(image: Image.Image, name: str, max_pixels: int) -> None:
    """Decode an opened picture's pixels; raise for an animation and for a file that does not decode completely."""
    with strict_pillow(max_pixels), decoder_errors(name, image.format or "image"):
        check_limit(image.size, name, max_pixels)
        # An MPO's further pictures belong to its first: a gain map, depth, or the other view of a stereo pair.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise PictureError(
                f"{name} holds more than one frame or page ({image.format}); save the one you want as PNG"
            )
        image.load()


def check_limit(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Raise if width times height exceeds the limit."""
    width, height = size
    if width * height > max_pixels:
        raise PictureError(
            f"{name} has {width}x{height} = {width * height / 1e6:.4g} megapixels, over the limit of "
            f"{max_pixels / 1e6:.4g}; make it smaller or raise max_pixels"
        )


@contextlib.contextmanager
def decoder_errors(name: str, part: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged data into a PictureError."""
    try:
        yield
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"{name} declares more than twice the pixel limit; make it smaller or raise max_pixels"
        ) from error
    except MemoryError as error:
        raise PictureError(f"{name} needs more memory than there is; make it smaller") from error
    except Exception as error:  # decoders raise struct, index, key, zlib and other errors
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise PictureError(
            f"{name} is damaged or incomplete (its {part} data: {detail}); get an intact copy"
        ) from error


def _formats() -> list[str]:
    """Return the allowed formats that this build of Pillow can decode."""
    for plugin in _PLUGINS.values():
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{plugin}")
    return [name for name in _PLUGINS if name in Image.OPEN]


def _guess_kind(head: bytes) -> str:
    """Say what the first bytes of an unreadable file look like."""
    for offset, magic, kind in _SIGNATURES:
        if head[offset : offset + len(magic)] == magic:
            return f"it looks like {kind}"
    if b"\0" in head:
        return "an unknown kind of data"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text:
        return "it looks like an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "it looks like a web page"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer: run git lfs pull"
    # A character cut off at byte 1024 leaves replacement characters only at the end; binary data has them anywhere.
    words = head.decode("utf-8", "replace").rstrip("\ufffd")
    is_text = words and all(c.isprintable() or c in "\t\r\n\f\ufeff" for c in words) and "\ufffd" not in words
    return "it looks like text" if is_text else "an unknown kind of data"
