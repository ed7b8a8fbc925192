"""SwapSettings: the options of a swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reliableswap.errors import ReliableSwapError

from .attributes import Attributes

_SHARES = ("likeness", "shape", "colour", "light", "detail", "glasses", "expression")
MAX_YEARS = 15.0  # limit of `age`: the range that benchmarks/ageing.py measures
_LENGTHS = ("light_reach", "band_reach", "margin", "feather")


@dataclass(frozen=True)
class SwapSettings:
    """How a face is swapped. Lengths are fractions of the face's width.

    likeness: how much of the source comes in, from 0 (target unchanged) to 1.
    shape: how far the face's outline moves towards the source's.
    expression: how far lips, lids and brows of the result are moved back to the target's expression.
    glasses: opacity of the glasses that the target wears; 0 removes them as far as the engine can.
    detail: how far sharpness and grain are matched to the target's.
    colour: how far the skin tone is matched to the target's.
    light: how far slow changes of brightness and colour across the face are replaced by the target's.
    light_reach: the scale above which a change of brightness counts as light.
    band_reach: the width over which the coarsest frequency band is blended.
    margin: how far inside the outline the blend ends.
    feather: the width of the blend's soft edge.
    age: by how many years the face looks older (or younger, if negative) than in a plain swap, -15 to 15.
    attributes: which parts of the face are the source's or the target's; set them by `with_attributes`.
    """

    likeness: float = 1.0
    shape: float = 0.5
    expression: float = 0.65
    glasses: float = 1.0
    detail: float = 1.0
    colour: float = 1.0
    light: float = 0.65
    light_reach: float = 0.22
    band_reach: float = 0.12
    margin: float = 0.015
    feather: float = 0.012
    age: float = 0.0
    attributes: Attributes = Attributes()

    def __post_init__(self) -> None:
        for name in _SHARES:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ReliableSwapError(f"{name} is {value}; choose a value from 0 to 1")
        if not -MAX_YEARS <= self.age <= MAX_YEARS:
            raise ReliableSwapError(f"age is {self.age:g}; choose from -{MAX_YEARS:g} to {MAX_YEARS:g} years")
        for name in _LENGTHS:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ReliableSwapError(f"{name} is {value}; choose a fraction of the face's width, 0 to 1")

    def with_attributes(self, attributes: Mapping[str, str] | Attributes | None) -> SwapSettings:
        """Return the settings with parts of the face assigned to source or target, as in {"brows": "target"}.

        The target's shape implies shape 0, and the source's glasses imply that the target's come off.
        """
        chosen = Attributes.of(attributes)
        return replace(
            self,
            attributes=chosen,
            shape=0.0 if chosen.shape == "target" else self.shape,
            glasses=0.0 if chosen.glasses == "source" else self.glasses,
        )
