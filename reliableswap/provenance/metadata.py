"""The mark of an AI-made picture: IPTC's digital source type, in an XMP packet that photo tools read."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from reliableswap.errors import PictureError
from reliableswap.media.decode import open_image
from reliableswap.media.picture import printable

# IPTC NewsCodes, scheme digitalsourcetype: "Composite with Trained Algorithmic Media", a real photo of which
# an algorithm made a part. That is what a face swap is.
_SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = _SCHEME + "compositeWithTrainedAlgorithmicMedia"
_AI_MADE = {SOURCE_TYPE, _SCHEME + "trainedAlgorithmicMedia", _SCHEME + "compositeSynthetic"}

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RESOURCE = f"{{{_RDF}}}resource"  # where an address may stand instead of in the text
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_DETAILS = "urn:reliableswap:details/"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = re.compile(r"^<\?xml\s[^>]*\?>")
_LONGEST = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_READS_ANY = 1 << 40  # only the header is read, so the picture's size is no danger


@dataclass(frozen=True)
class Mark:
    """What a file says of its own making: how, with what software, and our further details."""

    source_type: str
    software: str
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def ai_made(self) -> bool:
        """Whether the source type says that trained algorithms made the picture or a part of it."""
        return self.source_type.replace("https:", "http:", 1) in _AI_MADE


def mark_xmp(software: str, details: Mapping[str, str] | None = None) -> bytes:
    """An XMP packet that declares a composite with AI-made parts, by this software, with further details.

    Names of details are letters, digits, _ and -; values are any text.
    """
    lines = [f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"]
    lines.append(f"<xmp:CreatorTool>{_text('software', software)}</xmp:CreatorTool>")
    for name, value in (details or {}).items():
        if not _NAME.fullmatch(name):
            raise PictureError(
                f"metadata name {name!r} can't be written; use letters, digits, _ and - only, a letter first"
            )
        lines.append(f"<reliableswap:{name}>{_text(name, value)}</reliableswap:{name}>")
    body = "\n   ".join(lines)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:xmp="{_XMP}"'
        f' xmlns:reliableswap="{_DETAILS}">\n'
        f"   {body}\n"
        "  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    ).encode()


def read_mark(path: str | os.PathLike[str]) -> Mark | None:
    """The mark in a picture file of any format that carries XMP, or None if it declares no source type."""
    shown = printable(os.fspath(path))
    if not Path(path).is_file():
        raise PictureError(f"there is no picture file {shown}; check the name")
    with Path(path).open("rb") as stream, open_image(stream, shown, _READS_ANY) as image:
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        if not packet and image.format == "PNG":
            packet = _after_the_pixels(stream)
    return parse_xmp(packet)


def _after_the_pixels(stream: BinaryIO) -> bytes | None:
    """The XMP of a PNG that has it behind its pixels, where Pillow does not look before it reads them."""
    stream.seek(len(_PNG))
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"iTXt" and length <= _LONGEST:
            content = stream.read(length)
            keyword, _, rest = content.partition(b"\0")
            if keyword == b"XML:com.adobe.xmp" and rest[:2] == b"\0\0":  # not compressed, as XMP asks for
                return rest[2:].split(b"\0", 2)[-1]
            stream.seek(4, os.SEEK_CUR)
        else:
            stream.seek(length + 4, os.SEEK_CUR)
    return None


def parse_xmp(packet: object) -> Mark | None:
    """The mark in an XMP packet; None without one, or if the packet is no well-formed XMP in UTF-8 of a usual size."""
    if not isinstance(packet, (str, bytes)) or not 0 < len(packet) <= _LONGEST:
        return None
    try:
        text = packet if isinstance(packet, str) else packet.decode("utf-8")
        text = _DECLARATION.sub("", text.strip("\ufeff\0 \r\n\t"))  # it may name another encoding
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # XMP has neither; entity bombs have both
            return None
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeError, ValueError):
        return None
    facts: dict[str, str] = {}
    for description in root.iter(f"{{{_RDF}}}Description"):
        facts.update(description.attrib)  # XMP writes a simple property as an attribute or as an element
        facts.update({child.tag: child.get(_RESOURCE) or child.text or "" for child in description})
    source_type = facts.get(f"{{{_IPTC}}}DigitalSourceType", "").strip()
    if not source_type:
        return None
    prefix = f"{{{_DETAILS}}}"
    details = {k.removeprefix(prefix): v for k, v in facts.items() if k.startswith(prefix)}
    return Mark(source_type, facts.get(f"{{{_XMP}}}CreatorTool", ""), details)


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise PictureError(f"metadata {name!r} is a {type(value).__name__}; give text, as str(value)")
    if _NOT_XML.search(value):
        raise PictureError(
            f"metadata {name!r} holds characters that XML can't carry; remove control characters"
        )
    return escape(value, {"\r": "&#13;"})
