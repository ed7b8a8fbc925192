"""The keyword arguments of a pipeline's call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypedDict

from reliableswap.errors import ReliableSwapError
from reliableswap.safety.consent import Consent
from reliableswap.swap.settings import SwapSettings

from .inputs import Faces
from .output import OutputType

Engine = Literal["auto", "blend", "neural"]


class SwapOptions(TypedDict, total=False):
    """The keyword arguments of a call; see `ReliableSwapPipeline.__call__`."""

    faces: Faces
    engine: Engine
    likeness: float | None
    shape: float | None
    settings: SwapSettings | None
    expression: float | None
    glasses: float | None
    detail: float | None
    attributes: Mapping[str, str] | None
    consent: str | Consent | None
    output_type: OutputType
    callback: Callable[[int, int], None] | None


def merged_settings(settings: SwapSettings | None, given: Mapping[str, float | None]) -> SwapSettings:
    """The settings, or those made of single values; both together contradict each other."""
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if settings is None:
        return replace(SwapSettings(), **named)
    if named:
        raise ReliableSwapError(
            f"settings= and {', '.join(f'{name}=' for name in named)} were both given; put all of them into settings"
        )
    return settings
