"""The record of how a picture was made, which every layer of provenance states or refers to."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .metadata import GENERATED, SOFTWARE, SOURCE_TYPE, Event
from .origin import Origin

SWAP = "face swap"
TRIPLET_SWAP = "face swap for a training triplet"


def new_id() -> str:
    """Return a new manifest label, which names one written file."""
    return f"urn:c2pa:{uuid.uuid4()}"


def now() -> str:
    """Return the time in UTC as XMP and C2PA write it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def payload_of(identifier: str) -> int:
    """Return the watermark's 32 bits for a record: the first 32 of the SHA-256 of its id."""
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:4], "big")


@dataclass(frozen=True)
class Record:
    """What was done to a picture.

    target: the picture that was changed, which becomes the parent ingredient. sources: the inputs whose faces came in.
    settings: what determined the result, by name. networks: class and checksum of each network, by component name.
    faces: the boxes (x0, y0, x1, y1) of the changed faces. consent: a statement and its time.
    watermark: the payload that the pixels carry, which `seal` fills in. source_type: IPTC's digital source type;
    GENERATED for a picture that was not made from another.
    """

    action: str = SWAP
    target: Origin | None = None
    sources: Sequence[Origin] = ()
    engine: str | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    networks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    faces: Sequence[Sequence[float]] = ()
    consent: Mapping[str, str] | None = None
    watermark: int | None = None
    source_type: str = SOURCE_TYPE
    id: str = field(default_factory=new_id)
    time: str = field(default_factory=now)

    def with_new_id(self) -> Record:
        """Return the same record under a new id, for another file."""
        return replace(self, id=new_id(), time=now())

    @property
    def payload(self) -> int:
        """The 32 bits that name this record in a watermark."""
        return payload_of(self.id)

    def details(self) -> dict[str, str]:
        """Return what the XMP mark states besides the source type."""
        found = {"record": self.id, "time": self.time}
        if self.engine:
            found["engine"] = self.engine
        if self.watermark is not None:
            found["watermark"] = f"{self.watermark:08x}"
        if self.consent:
            found["consent"] = self.consent.get("statement", "")
        return found

    def history(self, earlier_watermark: int | None = None) -> tuple[Event, ...]:
        """Return the target's history with this action at its end; earlier_watermark: the pixels' earlier payload."""
        events = () if self.target is None or self.target.mark is None else self.target.mark.as_history()
        if earlier_watermark is not None and not any(
            payload_of(event.instanceID) == earlier_watermark for event in events
        ):
            events = (*events, Event("produced", "unknown", parameters=f"watermark {earlier_watermark:08x}"))
        done = "created" if self.source_type == GENERATED else "edited"
        return (*events, Event(done, SOFTWARE, self.time, f"{self.action}; {self.source_type}", self.id))

    def statement(self) -> dict[str, Any]:
        """Return everything as JSON for C2PA. It has no lists of numbers, which C2PA readers take for bytes."""
        known: dict[str, Any] = {
            "id": self.id,
            "action": self.action,
            "time": self.time,
            "engine": self.engine,
            "settings": dict(self.settings),
            "networks": [
                {"name": name, "class": kind, "checksum": checksum}
                for name, (kind, checksum) in self.networks.items()
            ],
            "faces": [
                dict(zip(("x0", "y0", "x1", "y1"), (round(float(v)) for v in box), strict=True))
                for box in self.faces
            ],
            "watermark": None if self.watermark is None else f"{self.watermark:08x}",
            "target": None if self.target is None else input_facts(self.target),
            "sources": [input_facts(one) for one in self.sources],
            "consent": None if self.consent is None else dict(self.consent),
        }
        return {name: value for name, value in known.items() if value not in (None, [], {})}


def input_facts(origin: Origin) -> dict[str, Any]:
    """Return an input's checksum and what its XMP mark said; nothing that shows the picture."""
    facts: dict[str, Any] = {"sha256": origin.sha256, "of": origin.of}
    if origin.mark is not None:
        facts["marked"] = {"software": origin.mark.software, "digitalSourceType": origin.mark.source_type}
    return facts
