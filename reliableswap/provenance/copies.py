"""Write a picture that was made from another one without AI, and carry over the marks of the original."""

from __future__ import annotations

import io
import os
from pathlib import Path

from reliableswap.media.picture import Picture, printable
from reliableswap.media.write import check_output, encode_picture, write_file

from .c2pa import Manifest, read_manifest
from .metadata import SOFTWARE, Event, Mark, is_ai_source_type, mark_xmp
from .origin import Origin
from .record import now


def write_copy(
    picture: Picture, path: str | os.PathLike[str], action: str, *, overwrite: bool = False, quality: int = 95
) -> Path:
    """Write the picture in the format of the path's extension, and return the path.

    The marks of its origin are carried over as XMP, with `action` at the end of the history. Nothing else is claimed:
    an unmarked picture stays unmarked. A watermark stays in the pixels. A signature can't be carried over, because it
    is valid for the signed file only; the history names it.
    """
    target = check_output(path, overwrite=overwrite)
    content = encode_picture(picture, target, quality=quality, xmp=carried_xmp(picture.origin, action))
    write_file(content, target, overwrite=overwrite, shown=printable(os.fspath(path)))
    return Path(path)


def carried_xmp(origin: Origin | None, action: str) -> bytes:
    """Return the XMP for a copy of `origin` after `action`; empty if the origin declares nothing."""
    if origin is None:
        return b""
    mark = origin.mark
    signed = None if origin.signed is None else read_manifest(io.BytesIO(origin.signed), origin.media_type)
    declared = "" if signed is None else _source_type(signed)
    if mark is None:
        if signed is None or not declared:
            return b""
        mark = Mark(declared, printable(signed.software))
        events: tuple[Event, ...] = ()
    else:
        events = mark.as_history()
    if signed is not None and signed.label not in {event.instanceID for event in events}:
        facts = "; ".join(fact for fact in ("C2PA manifest", declared) if fact)
        produced = Event("produced", printable(signed.software), "", facts, printable(signed.label))
        events = (*events, produced)
    events = (*events, Event("edited", SOFTWARE, now(), action))
    details = mark.details if mark.made_here else {}
    return mark_xmp(details, software=mark.software, history=events, source_type=mark.source_type)


def _source_type(manifest: Manifest) -> str:
    """Return a source type that a manifest declares, preferably an AI one; empty if it declares none."""
    ordered = sorted(manifest.source_types, key=lambda one: not is_ai_source_type(one))
    return printable(ordered[0]) if ordered else ""
