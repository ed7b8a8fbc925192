"""Read every mark that a file carries, and say in words what it states."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reliableswap.errors import PictureError
from reliableswap.media.decode import NO_PIXEL_LIMIT, open_image
from reliableswap.media.picture import printable
from reliableswap.media.read import MAX_PIXELS, read_picture

from .c2pa import Manifest, read_manifest
from .clip import frames, is_clip, read_clip_mark
from .metadata import Mark
from .origin import scan
from .reading import read_mark
from .watermark import Reading, Watermark, default_watermark
from .words import NO_MARK_NOTE, of_manifest, of_mark, of_watermark

TRUST = "RELIABLESWAP_TRUST"


@dataclass(frozen=True)
class Verification:
    """What a file's marks say about how it was made.

    manifest: signed by C2PA. mark: XMP, which anyone can write. watermark: in the pixels. unread: why the pixels could
    not be read.
    """

    mark: Mark | None = None
    manifest: Manifest | None = None
    watermark: Reading | None = None
    unread: str | None = None

    @property
    def marked(self) -> bool:
        """Whether any layer says how the file was made."""
        return any(layer is not None for layer in (self.mark, self.manifest, self.watermark))

    @property
    def ai_made(self) -> bool:
        """Whether a layer says that AI made the file or a part of it. False proves nothing: marks get lost."""
        return (
            self.watermark is not None
            or (self.mark is not None and self.mark.ai_made)
            or (self.manifest is not None and self.manifest.ai_made)
        )

    @property
    def made_here(self) -> bool:
        """Whether a layer says that ReliableSwap made the file."""
        return (
            self.watermark is not None
            or (self.mark is not None and self.mark.made_here)
            or (self.manifest is not None and self.manifest.made_here)
        )

    @property
    def agree(self) -> bool | None:
        """Whether the watermark is the one that the metadata names; None if either is missing."""
        named = [] if self.mark is None else [self.mark.details.get("watermark")]
        named += [] if self.manifest is None else [self.manifest.statement.get("watermark")]
        known = [payload for payload in named if payload]
        if self.watermark is None or not known:
            return None
        return all(payload == f"{self.watermark.payload:08x}" for payload in known)

    @property
    def verdict(self) -> str:
        """Return the answer in one sentence."""
        if self.made_here:
            return "Made by AI, with ReliableSwap."
        if self.ai_made:
            return "Made by AI or with its help, using other software."
        if self.marked:
            return "The file states how it was made, but not that AI made it."
        return "No mark was found."

    def sentences(self) -> list[str]:
        """Return what each layer states, in words."""
        said = [
            of_manifest(self.manifest),
            of_mark(self.mark),
            of_watermark(self.watermark, self.agree, self.unread),
        ]
        return said if self.marked else [*said, NO_MARK_NOTE]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer and every layer, ready for JSON."""
        answer: dict[str, Any] = {
            "marked": self.marked,
            "ai_made": self.ai_made,
            "made_here": self.made_here,
            "verdict": self.verdict,
            "sentences": self.sentences(),
        }
        if self.mark is not None:
            answer |= {
                "software": self.mark.software,
                "source_type": self.mark.source_type,
                "details": dict(self.mark.details),
                "history": [vars(event) for event in self.mark.history],
            }
        if self.manifest is not None:
            answer["c2pa"] = dict(vars(self.manifest))
        if self.watermark is not None:
            answer["watermark"] = {
                "payload": f"{self.watermark.payload:08x}",
                "confidence": round(self.watermark.confidence, 4),
                "belongs_to_metadata": self.agree,
            }
        return answer


def verify(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    anchors: str | os.PathLike[str] | None = None,
    watermark: Watermark | None = None,
    max_pixels: int | None = None,
) -> Verification:
    """Read every mark of a picture or clip (a path, or its content), offline.

    name: stands for the file in error messages. anchors: PEM file of certificates that vouch for signers, by default
    the one that RELIABLESWAP_TRUST names. watermark: default: ReliableSwap's own. max_pixels: the watermark of larger
    pictures, and of clips with larger frames, is not looked for. A file that is neither picture nor clip raises
    PictureError.
    """
    with ExitStack() as stack:
        stream: BinaryIO
        if isinstance(source, bytes):
            stream, shown = io.BytesIO(source), name or "bytes"
        else:
            shown = name or printable(os.fspath(source))
            if not Path(source).is_file():
                raise PictureError(f"there is no file {shown}; check the name")
            stream = stack.enter_context(Path(source).open("rb"))
        clip = is_clip(stream)
        mark = read_clip_mark(stream) if clip else read_mark(source, shown)
        manifest = None
        if scan(stream)[1]:
            manifest = read_manifest(stream, "", read_anchors(anchors))
        reader = watermark or default_watermark()
        try:
            stream.seek(0)
            if clip:
                return Verification(mark, manifest, reader.read_many(frames(stream, shown, max_pixels)))
            return Verification(mark, manifest, reader.read(_pixels(stream, shown, max_pixels)))
        except PictureError as error:
            return Verification(mark, manifest, unread=str(error))


def _pixels(stream: BinaryIO, shown: str, max_pixels: int | None) -> np.ndarray:
    """(H,W,3) the pixels of a picture; `shown` stands for it in errors, whatever the stream is called."""
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    with open_image(stream, shown, NO_PIXEL_LIMIT) as image:
        width, height = image.size
    if width * height > limit:
        # No advice here: a person who only checks a file can neither raise the limit nor make the file smaller.
        raise PictureError(
            f"{shown} has {width}x{height} pixels, and only pictures of up to {limit / 1e6:.4g} megapixels are "
            "checked"
        )
    stream.seek(0)
    return read_picture(stream, max_pixels=limit, name=shown).pixels


def read_anchors(given: str | os.PathLike[str] | None = None) -> str | None:
    """Return the PEM of the certificates to trust, by default those that RELIABLESWAP_TRUST names; None for none."""
    path = given or os.environ.get(TRUST)
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise PictureError(f"the trusted certificates {os.fspath(path)} can't be read ({error})") from error
