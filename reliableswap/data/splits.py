"""The one rule for held-out people: every split cuts the same ordering of people, so a larger held-out share contains
every smaller one."""

from __future__ import annotations

import hashlib
import math
import zlib
from dataclasses import astuple, dataclass

from reliableswap.errors import ReliableSwapError

NAMES = ("train", "validation", "test")
HELD_OUT = 10.0  # percent of people outside training, unless a split says otherwise


def place_of(person: str) -> float:
    """A person's place in (0,1] in the order that splits cut.

    It depends only on the last part of the name, so it stays when photos or people are added.
    """
    name = person.rsplit("/", 1)[-1].encode()
    fine = int.from_bytes(hashlib.sha256(name).digest()[:6], "big") / 2**48
    return 1 - (zlib.crc32(name) % 100 + fine) / 100


def holds_out(person: str, percent: float = HELD_OUT) -> bool:
    """Whether a person is among the last `percent` of people."""
    return place_of(person) > 1 - percent / 100


@dataclass(frozen=True)
class Split:
    """Relative shares of the people in each part."""

    train: float = 90.0
    validation: float = 5.0
    test: float = 5.0

    def __post_init__(self) -> None:
        shares = astuple(self)
        if not all(map(math.isfinite, shares)) or min(shares) < 0 or sum(shares) <= 0:
            raise ReliableSwapError(f"split is {self}; give three shares such as 90/5/5")

    def __str__(self) -> str:
        return "/".join(f"{share:g}" for share in astuple(self))

    @classmethod
    def parse(cls, text: str) -> Split:
        """Parse a text such as 90/5/5."""
        try:
            train, validation, test = (float(part) for part in text.split("/"))
        except ValueError:
            raise ReliableSwapError(f"split {text!r} is not three shares; write for example 90/5/5") from None
        return cls(train, validation, test)

    def of(self, person: str) -> str:
        """Return the part that a person belongs to: train, validation or test."""
        number = place_of(person) * sum(astuple(self))
        for name, share in zip(NAMES, astuple(self), strict=True):
            if number < share:
                return name
            number -= share
        return next(n for n, s in zip(reversed(NAMES), reversed(astuple(self)), strict=True) if s > 0)

    @property
    def held_out(self) -> float:
        """Percent of people outside train."""
        return 100 * (self.validation + self.test) / sum(astuple(self))

    def holds_out(self, person: str) -> bool:
        """Whether a person is outside train."""
        return self.of(person) != "train"
