"""Sentences about what marks state. Files may say anything, so their text is shown on one line and never trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reliableswap.media.picture import printable

from .c2pa import Manifest
from .metadata import Mark
from .watermark import Reading

NO_MARK_NOTE = (
    "That proves nothing: metadata is lost when a picture is sent through a messenger or photographed from a screen, "
    "and other software may write no mark at all."
)
_STATES = {
    "trusted": "signed by a trusted signer.",
    "valid": "signed by an unknown signer; nothing was changed since.",
    "invalid": "there is a signature, but it is NOT valid.",
    "unreadable": "there is a manifest, but it can't be read",
}


def of_manifest(manifest: Manifest | None) -> str:
    """What the signed manifest states."""
    if manifest is None:
        return "Signed metadata (C2PA): none."
    said = [f"Signed metadata (C2PA): {_STATES[manifest.state]}"]
    if manifest.state == "invalid":
        said[0] += (
            " The picture was changed after it was signed."
            if manifest.content_changed
            else f" Errors: {', '.join(manifest.faults)}."
        )
    if manifest.state == "unreadable":
        return f"{said[0]} ({'; '.join(manifest.faults)})."
    if manifest.signer:
        said.append(f"The signature names {printable(manifest.signer)}.")
    said.append(f"It says: {_made_with(manifest.software, manifest.ai_made)}.")
    if manifest.parents:
        count = len(manifest.parents)
        said.append(
            f"It carries the manifest{'s' * (count > 1)} of {count} earlier version{'s' * (count > 1)}."
        )
    said += _of_statement(manifest.statement)
    return " ".join(said)


def _of_statement(statement: Mapping[str, Any]) -> list[str]:
    """What ReliableSwap's own record says; anyone may have written it, so its form is not relied on."""
    said = []
    consent = statement.get("consent")
    if isinstance(consent, Mapping) and consent.get("statement"):
        said.append(f'Consent was stated: "{printable(str(consent["statement"]))}"')
    if statement.get("time"):
        said.append(f"Its own clock said {printable(str(statement['time']))}.")
    return said


def of_mark(mark: Mark | None) -> str:
    """What the XMP mark states."""
    if mark is None:
        return "Metadata (XMP): none about how it was made."
    said = f"Metadata (XMP): {_made_with(mark.software, mark.ai_made)}."
    if mark.history:
        said += f" Its history has {len(mark.history)} entr{'y' if len(mark.history) == 1 else 'ies'}."
    return f"{said} It is not signed: anyone can write it."


def of_watermark(watermark: Reading | None, agree: bool | None, unread: str | None) -> str:
    """What the pixels carry. agree: whether the metadata names it; unread: why they could not be read."""
    if unread is not None:
        return f"Watermark: the pixels could not be read ({unread})."
    if watermark is None:
        return "Watermark: none found in the pixels."
    said = f"Watermark: {watermark.payload:08x}, read with confidence {watermark.confidence:.2f}."
    if agree is None:
        return said
    if agree:
        return f"{said} It is the one that the metadata names."
    return f"{said} The metadata names another: one of them was added later."


def _made_with(software: str, ai_made: bool) -> str:
    name = printable(software) or "unnamed software"
    return f"made with {name}, {'by AI or with its help' if ai_made else 'with no mention of AI'}"
