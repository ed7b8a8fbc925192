"""The keyword arguments of a pipeline's call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypedDict

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.safety.consent import Consent
from reliableswap.swap.settings import SwapSettings

from .inputs import Faces
from .output import OutputType

Engine = Literal["auto", "blend", "neural", "person"]
ChosenEngine = Literal["blend", "neural", "person"]


class SwapOptions(TypedDict, total=False):
    """The keyword arguments of a call; see `ReliableSwapPipeline.__call__`."""

    faces: Faces
    person: str | None
    engine: Engine
    likeness: float | None
    shape: float | None
    settings: SwapSettings | None
    expression: float | None
    glasses: float | None
    detail: float | None
    age: float | None
    attributes: Mapping[str, str] | None
    consent: str | Consent | None
    output_type: OutputType
    callback: Callable[[int, int], None] | None


def merged_settings(settings: SwapSettings | None, given: Mapping[str, float | None]) -> SwapSettings:
    """Return the settings, or settings made from single values; raise if both are given."""
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if settings is None:
        return replace(SwapSettings(), **named)
    if named:
        raise ReliableSwapError(
            f"settings= and {', '.join(f'{name}=' for name in named)} were both given; put all of them into settings"
        )
    return settings


def chosen_engine(engine: Engine, *, generator: bool, people: bool) -> ChosenEngine:
    """Resolve `auto`; raise if the engine needs a generator, or trained people, that the pipeline does not have."""
    if engine == "auto":
        return "neural" if generator else "blend"
    if engine == "neural" and not generator:
        raise WeightsError(
            "engine='neural' needs a generator, but this pipeline has none; load one with from_pretrained or use "
            "engine='blend'"
        )
    if engine == "person" and not people:
        raise WeightsError(
            "engine='person' needs a trained person, but this pipeline has none; set pipe.people = "
            "CombAutoencoder.from_pretrained(folder), or give --trained FOLDER"
        )
    if engine not in ("blend", "neural", "person"):
        raise ReliableSwapError(f"unknown engine {engine!r}; choose auto, blend, neural or person")
    return engine
