"""What a swap says about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class FaceReport:
    """One face of the target photo. Similarities are cosines, None without an identity encoder."""

    index: int
    box: tuple[float, float, float, float]
    score: float
    swapped: bool = False
    source: str | None = None
    engine: str | None = None
    identity_before: float | None = None  # the target's face against the source's
    identity_after: float | None = None  # the result's face against the source's


@dataclass
class SwapReport:
    """The faces found in a target photo, and what was done to them."""

    target: str
    engine: str
    device: str
    analyser: str
    seconds: float = 0.0
    faces: list[FaceReport] = field(default_factory=list)

    @property
    def swapped(self) -> list[int]:
        return [face.index for face in self.faces if face.swapped]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
