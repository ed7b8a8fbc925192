"""The statement that every swap requires, the rules, and the visible note on every result."""

from __future__ import annotations

from reliableswap.errors import ReliableSwapError
from reliableswap.provenance.label import TEXT

STATEMENT = "The people shown agreed to this, or they do not exist."
RULES = (
    "Only swap faces of adults who agreed, or of people who do not exist. Nothing sexual, no deception, no children. "
    "Every result says that AI made it: visibly, in its metadata and in its pixels."
)
NOTE = TEXT


def require_consent(agreed: object) -> None:
    """Raise unless `agreed` is exactly True; the API may send anything, and the text "false" is not consent."""
    if agreed is not True:
        raise ReliableSwapError(
            "Nothing was swapped: please confirm that the people shown agreed, or that they do not exist."
        )
