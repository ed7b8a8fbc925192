"""The only way to write a picture or a clip that AI made: watermarked, with XMP, signed, and atomically."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from reliableswap.errors import PictureError
from reliableswap.media.atomic import atomic_file
from reliableswap.media.picture import Picture, printable
from reliableswap.media.write import check_output, encode_picture, write_file

from .c2pa import sign, sign_stream
from .credentials import Credentials, credentials
from .label import add_label
from .metadata import mark_xmp
from .record import Record
from .watermark import Watermark, default_watermark

logger = logging.getLogger(__name__)

LAYERS = ("watermark", "xmp", "c2pa")
_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
}
_UNSIGNABLE = (".mkv",)  # C2PA has no place for a manifest in Matroska


def seal(
    picture: Picture,
    path: str | os.PathLike[str],
    record: Record,
    *,
    overwrite: bool = False,
    quality: int = 95,
    label: bool = False,
    layers: Collection[str] = LAYERS,
    signer: Credentials | None = None,
    watermark: Watermark | None = None,
) -> Path:
    """Write a picture that AI made or changed, in the format of the path's extension, and return the path.

    Marks of the record's target are carried over: its manifest as the parent ingredient, its XMP and a watermark that
    the pixels already carry as entries of the XMP history.

    Args:
        overwrite: replace an existing file instead of raising.
        quality: of JPEG, WebP and AVIF, 1 to 100.
        label: draw "Made by AI" into the lower right corner.
        layers: which of LAYERS to write. Leaving one out makes it harder to tell that AI made the picture; where the
            law requires marks, the caller is responsible.
        signer: default: the credentials of the environment, or the local pair.
        watermark: default: ReliableSwap's own.
    """
    _check_layers(layers)
    target = check_output(path, overwrite=overwrite)
    shown = printable(os.fspath(path))
    if label:
        picture = add_label(picture)
    earlier = None
    if "watermark" in layers:
        pixels, carried, earlier = mark_pixels(picture.pixels, record, watermark)
        picture, record = replace(picture, pixels=pixels), replace(record, watermark=carried)
    xmp = b""
    if "xmp" in layers:
        xmp = mark_xmp(record.details(), history=record.history(earlier), source_type=record.source_type)
    content = encode_picture(picture, target, quality=quality, xmp=xmp)
    if "c2pa" in layers:
        media_type = _MEDIA_TYPES[target.suffix.lower()]
        content = sign(content, media_type, record, signer or credentials(), shown)
    write_file(content, target, overwrite=overwrite, shown=shown)
    return Path(path)


def mark_pixels(
    pixels: np.ndarray, record: Record, watermark: Watermark | None = None
) -> tuple[np.ndarray, int | None, int | None]:
    """Return (H,W,3) uint8 pixels with the record's watermark, the payload that they carry now, and the one before.

    An earlier watermark that the new one can't replace stays: two would make each other unreadable. The payload is None
    if the picture is too small for a watermark.
    """
    watermark = watermark or default_watermark()
    before = watermark.read(pixels)
    marked = watermark.embed(pixels, record.payload, record.faces)
    if before is None:
        return marked, None if np.array_equal(marked, pixels) else record.payload, None
    after = watermark.read(marked)
    if after is not None and after.payload == record.payload:
        return marked, record.payload, before.payload
    return pixels, before.payload, before.payload


def seal_clip(
    draft: str | os.PathLike[str],
    path: str | os.PathLike[str],
    record: Record,
    *,
    overwrite: bool = False,
    layers: Collection[str] = LAYERS,
    signer: Credentials | None = None,
) -> Path:
    """Sign an encoded clip (MP4 or MOV), whose frames already carry the watermark, and return the path.

    MKV can't be signed: it is written with its watermark and the XMP that `clip.clip_tags` gives.

    draft: the clip, which is left unchanged. Encode its frames after `mark_pixels` with the same record.
    """
    _check_layers(layers)
    shown, target = printable(os.fspath(path)), Path(os.path.realpath(path))
    media_type = _MEDIA_TYPES.get(target.suffix.lower(), "")
    if not media_type.startswith("video/"):
        raise PictureError(f"{shown} is not the name of a clip; end the name with .mp4, .mov or .mkv")
    try:
        with Path(draft).open("rb") as source, atomic_file(target, overwrite=overwrite) as out:
            if "c2pa" in layers and target.suffix.lower() not in _UNSIGNABLE:
                sign_stream(source, out, media_type, record, signer or credentials(), shown)
            else:
                shutil.copyfileobj(source, out, 1 << 20)
    except FileExistsError as error:
        raise PictureError(f"{shown} exists already; give another name or allow overwriting") from error
    except OSError as error:
        raise PictureError(f"{shown} can't be written ({error.strerror or error})") from error
    return Path(path)


def _check_layers(layers: Collection[str]) -> None:
    unknown = sorted(set(layers) - set(LAYERS))
    if isinstance(layers, str) or unknown:
        raise PictureError(f"unknown layers {unknown or layers!r}; choose from {', '.join(LAYERS)}")
    left_out = [name for name in LAYERS if name not in layers]
    if left_out:
        logger.warning("written without %s, as layers= requests", " and ".join(left_out))
