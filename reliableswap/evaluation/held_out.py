"""Which people an evaluation may use: those that no compared generator was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from reliableswap.errors import ReliableSwapError


def choose_held_out(
    asked: float | Literal["all"] | None, protocol: str, generators: Mapping[str, float]
) -> float | None:
    """Return the percentage of people to evaluate on, or None for everybody.

    asked: a percentage, `all`, or None for the default; generators: method -> percent of people that its generator's
    training left out. The default is the smallest of these percentages for identity-folders, which alone knows people
    by name, and everybody for the other protocols.
    """
    if asked == "all":
        return None
    if asked is None:
        return min(generators.values(), default=None) if protocol == "identity-folders" else None
    if not 0 < asked <= 100:
        raise ReliableSwapError(f"--held-out is {asked:g}; give a percentage of people above 0, or all")
    for name, left_out in generators.items():
        if asked > left_out:
            raise ReliableSwapError(
                f"--held-out {asked:g} asks for more people than the generator of {name} left out of its training "
                f"({left_out:g} %); give --held-out {left_out:g} or less, or another generator"
            )
    return asked
