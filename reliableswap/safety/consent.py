"""The record of a consent statement: what the caller stated, and when."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from reliableswap.errors import ReliableSwapError

MAX_LENGTH = 500


@dataclass(frozen=True)
class Consent:
    """A statement about the consent of the people shown, and the time (UTC) of the call that received it."""

    statement: str
    time: str

    @classmethod
    def of(cls, given: str | Consent | None) -> Consent | None:
        """Record a statement now. Return a record unchanged, and None for None: nothing was stated."""
        if given is None or isinstance(given, Consent):
            return given
        if not isinstance(given, str):
            raise ReliableSwapError(
                f"consent is a {type(given).__name__}; pass a sentence that says who agreed to what"
            )
        statement = " ".join("".join(_printable(given)).split())
        if not statement:
            raise ReliableSwapError("consent is empty; say who agreed to what, or leave it out")
        if len(statement) > MAX_LENGTH:
            raise ReliableSwapError(f"consent has {len(statement)} characters; shorten it to {MAX_LENGTH}")
        return cls(statement, datetime.now(UTC).isoformat(timespec="seconds"))


def _printable(text: str) -> list[str]:
    """Characters that metadata can hold: control characters become spaces, surrogates and format characters go."""
    kinds = ((one, unicodedata.category(one)) for one in text)
    return [" " if kind == "Cc" else one for one, kind in kinds if kind not in ("Cs", "Cf")]
