"""The mark of an AI-made picture: IPTC's digital source type in an XMP packet, which photo tools read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from xml.etree import ElementTree

from reliableswap import __version__
from reliableswap.errors import PictureError

NAME = "ReliableSwap"
SOFTWARE = f"{NAME} {__version__}"

# IPTC NewsCodes, scheme digitalsourcetype. A face swap is a "Composite with Trained Algorithmic Media": a real photo
# of which an algorithm made a part.
_SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPE = _SCHEME + "compositeWithTrainedAlgorithmicMedia"
GENERATED = _SCHEME + "trainedAlgorithmicMedia"  # the whole picture
_AI_SOURCE_TYPES = {SOURCE_TYPE, GENERATED, _SCHEME + "compositeSynthetic"}

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RESOURCE = f"{{{_RDF}}}resource"  # a URL may be in this attribute instead of the element's text
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_XMP_MM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_DETAILS = "urn:reliableswap:details/"

_DETAIL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = re.compile(r"^<\?xml\s[^>]*\?>")
MAX_PACKET_BYTES = 1 << 20
MAX_EVENTS = 40  # of a picture's history; the latest are kept
_MAX_FACT = 300  # characters of one fact of an earlier event


@dataclass(frozen=True)
class Event:
    """One entry of XMP's history (xmpMM:History): what was done to the picture, with what, and when.

    parameters: further facts as text, such as the digital source type that the picture then declared.
    """

    action: str
    softwareAgent: str = ""  # named as the fields of XMP
    when: str = ""
    parameters: str = ""
    instanceID: str = ""


@dataclass(frozen=True)
class Mark:
    """What a file's metadata declares: its digital source type, the software, and ReliableSwap's own details.

    history: what was done to the picture, the latest last, as far as its metadata says.
    """

    source_type: str
    software: str
    details: Mapping[str, str] = field(default_factory=dict)
    history: tuple[Event, ...] = ()

    @property
    def ai_made(self) -> bool:
        """Whether the source type says that a trained algorithm made the picture or a part of it."""
        return is_ai_source_type(self.source_type)

    @property
    def made_here(self) -> bool:
        """Whether the mark says that ReliableSwap made the picture."""
        return self.ai_made and self.software.startswith(NAME)

    def as_history(self) -> tuple[Event, ...]:
        """Return the history for a picture made from this one: its own, and this mark unless it is already there."""
        if self.made_here and self.history:
            return self.history
        return (*self.history, Event("produced", self.software, parameters=self.source_type))


def is_ai_source_type(address: str) -> bool:
    """Whether a digital source type says that a trained algorithm made the picture or a part of it."""
    return address.replace("https:", "http:", 1) in _AI_SOURCE_TYPES


def mark_xmp(
    details: Mapping[str, str] | None = None,
    *,
    software: str = SOFTWARE,
    history: Sequence[Event] = (),
    source_type: str = SOURCE_TYPE,
) -> bytes:
    """Return an XMP packet that declares what AI made: a part of the picture, or with GENERATED all of it.

    details: further facts to store; a name holds letters, digits, _ and -, a value is any text.
    history: what was done to the picture, the latest last; of more than MAX_EVENTS the latest are written.
    """
    kind = _escape("source type", source_type)
    lines = [f"<Iptc4xmpExt:DigitalSourceType>{kind}</Iptc4xmpExt:DigitalSourceType>"]
    lines.append(f"<xmp:CreatorTool>{_escape('software', software)}</xmp:CreatorTool>")
    for name, value in (details or {}).items():
        if not _DETAIL_NAME.fullmatch(name):
            raise PictureError(
                f"metadata name {name!r} can't be written; use only letters, digits, _ and -, starting with a letter"
            )
        lines.append(f"<reliableswap:{name}>{_escape(name, value)}</reliableswap:{name}>")
    lines += _history_lines(history[-MAX_EVENTS:])
    body = "\n   ".join(lines)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:xmp="{_XMP}"'
        f' xmlns:xmpMM="{_XMP_MM}" xmlns:stEvt="{_EVENT}" xmlns:reliableswap="{_DETAILS}">\n'
        f"   {body}\n"
        "  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="w"?>'
    ).encode()


def parse_xmp(packet: object) -> Mark | None:
    """Return the mark in an XMP packet, or None if it declares no source type or is not well-formed UTF-8 XMP."""
    if not isinstance(packet, (str, bytes)) or not 0 < len(packet) <= MAX_PACKET_BYTES:
        return None
    try:
        text = packet if isinstance(packet, str) else packet.decode("utf-8")
        # Drop the XML declaration, which may name another encoding.
        text = _DECLARATION.sub("", text.strip("\ufeff\0 \r\n\t"))
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
    details = {name.removeprefix(prefix): value for name, value in facts.items() if name.startswith(prefix)}
    return Mark(source_type, facts.get(f"{{{_XMP}}}CreatorTool", ""), details, tuple(_events(root)))


def _history_lines(history: Sequence[Event]) -> list[str]:
    if not history:
        return []
    lines = ["<xmpMM:History><rdf:Seq>"]
    for event in history:
        facts = {one.name: getattr(event, one.name) for one in fields(event)}
        inside = "".join(
            f"<stEvt:{name}>{_escape(name, value)}</stEvt:{name}>" for name, value in facts.items() if value
        )
        lines.append(f'<rdf:li rdf:parseType="Resource">{inside}</rdf:li>')
    return [*lines, "</rdf:Seq></xmpMM:History>"]


def _events(root: ElementTree.Element) -> Iterator[Event]:
    """Yield the latest events of XMP's history. Their facts are elements or attributes, at any depth of an entry."""
    known = {f"{{{_EVENT}}}{one.name}": one.name for one in fields(Event)}
    entries = root.findall(f".//{{{_XMP_MM}}}History/{{{_RDF}}}Seq/{{{_RDF}}}li")
    for entry in entries[-MAX_EVENTS:]:
        facts = {}
        for element in entry.iter():
            given = {**element.attrib, element.tag: element.text or ""}
            facts.update(
                {known[tag]: text.strip()[:_MAX_FACT] for tag, text in given.items() if tag in known}
            )
        if facts.get("action"):
            yield Event(**facts)


def _escape(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise PictureError(f"metadata {name!r} is a {type(value).__name__}; give text, such as str(value)")
    if _NOT_XML.search(value):
        raise PictureError(
            f"metadata {name!r} holds characters that XML can't carry; remove control characters"
        )
    return escape(value, quote=False).replace("\r", "&#13;")
