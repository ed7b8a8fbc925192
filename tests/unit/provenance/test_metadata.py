"""The XMP packet: what is written is read back, and hostile packets give nothing."""

from __future__ import annotations

import pytest

from reliableswap.provenance import Mark, mark_xmp
from reliableswap.provenance.metadata import SOFTWARE, SOURCE_TYPE, parse_xmp

# As other software writes it: the source type in an attribute, other prefixes.
ATTRIBUTE = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<r:Description xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" i:DigitalSourceType="'
    + SOURCE_TYPE
    + '"/></r:RDF></x:xmpmeta>'
).encode()
ENTITY_BOMB = b'<!DOCTYPE a [<!ENTITY b "b">]>' + ATTRIBUTE


def test_any_text_survives_xml() -> None:
    details = {"note": 'a < b & c > "d" é 犬\r\n', "engine": ""}
    mark = parse_xmp(mark_xmp(details, software="Soft <&> 1"))
    assert mark == Mark(SOURCE_TYPE, "Soft <&> 1", details)


def test_the_default_software_is_this_one() -> None:
    assert parse_xmp(mark_xmp()) == Mark(SOURCE_TYPE, SOFTWARE, {})


def test_a_source_type_in_an_attribute() -> None:
    assert parse_xmp(ATTRIBUTE) == Mark(SOURCE_TYPE, "", {})


def test_a_source_type_as_a_resource() -> None:
    packet = ATTRIBUTE.replace(b' i:DigitalSourceType="', b'><i:DigitalSourceType r:resource="')
    packet = packet.replace(b"/></r:RDF>", b"/></r:Description></r:RDF>")
    assert parse_xmp(packet) == Mark(SOURCE_TYPE, "", {})


def test_a_source_type_with_https() -> None:
    mark = parse_xmp(ATTRIBUTE.replace(b'Type="http:', b'Type="https:'))
    assert mark is not None
    assert mark.ai_made


def test_an_xml_declaration_is_allowed() -> None:
    declared = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ATTRIBUTE
    assert parse_xmp(declared) == Mark(SOURCE_TYPE, "", {})


@pytest.mark.parametrize(
    "packet",
    [
        None,
        7,
        (1, 2),
        b"",
        b"rubbish",
        b"\xff\xfe\0",
        ATTRIBUTE[:-5],
        ENTITY_BOMB,
        b"\xfe\xff" + ENTITY_BOMB.decode().encode("utf-16-be"),
        b'<?xml version="1.0" encoding="shift_jis"?>\xe9',
        b'<?xml version="1.0" encoding="none-such"?>\xe9',
        ATTRIBUTE.replace(b"/></r:RDF>", b"/>" + b" " * (1 << 20) + b"</r:RDF>"),
    ],
    ids=range(12),
)
def test_what_is_not_xmp_gives_no_mark(packet: object) -> None:
    assert parse_xmp(packet) is None
