"""Check a client's choices: engine, strengths, whose each part is, age, and which face gets which source."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from typing import Any

from reliableswap.errors import ReliableSwapError
from reliableswap.pipelines.image import Engine
from reliableswap.swap.attributes import Attributes
from reliableswap.swap.settings import MAX_YEARS, SwapSettings

from .limits import MAX_SOURCES

ENGINES: dict[Engine, str] = {"auto": "Automatic", "blend": "Blend", "neural": "Neural"}
# In the order of the page and the API: a field of SwapSettings, and what the page says about it.
STRENGTHS: dict[str, str] = {
    "likeness": "How much of the source comes in.",
    "shape": "How far the outline of the face moves to the source's.",
    "detail": "How far sharpness and grain follow the target photo.",
    "expression": "How far mouth, eyelids and brows keep the target's expression.",
    "glasses": "How far the target's glasses stay on.",
}
# In the order of the page: a field of Attributes, and what the page calls it.
PARTS: dict[str, str] = {
    "brows": "Brows",
    "lips": "Lips",
    "beard": "Beard and chin",
    "skin": "Skin",
    "shape": "Shape of the face",
    "glasses": "Glasses",
}

_PLURALS = {"face": "faces", "person": "people"}
_COUNTED = {
    "face": "both counted from 0, such as 0=0, 2=1",
    "person": "people counted from 1 and sources from 0, such as 1=0, 2=1",
}


def default_strength(name: str) -> float:
    """Return the pipeline's own default."""
    return float(getattr(SwapSettings(), name))


def check_strengths(*given: Any) -> dict[str, float]:
    """Return a client's strengths, given in the order of STRENGTHS, by name; raise unless all are in [0,1]."""
    values = dict(zip(STRENGTHS, given, strict=True))
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ReliableSwapError(f"{name} is {value!r}; choose a number from 0 to 1")
    return values


def default_side(part: str) -> str:
    """Return the side of a part by default."""
    return str(getattr(Attributes(), part))


def parse_attributes(given: Any) -> dict[str, str]:
    """Return {part: side} for "brows=target, glasses=source" or a mapping; keep only what differs from the default."""
    try:
        if given is None or isinstance(given, str):
            pairs: list[Any] = [pair.split("=") for pair in (given or "").split(",") if pair.strip()]
            chosen = {part.strip(): side.strip() for part, side in pairs}
        else:
            pairs = list(dict(given).items())
            chosen = dict(given)
    except (TypeError, ValueError):
        raise ReliableSwapError(
            "attributes must be pairs of a part and source or target, such as brows=target, glasses=source; parts are "
            f"{', '.join(one.name for one in fields(Attributes))}"
        ) from None
    if len(chosen) < len(pairs):
        raise ReliableSwapError(f"attributes {given} names a part twice; give each part one side")
    return Attributes.of(chosen).changed


def check_age(years: Any) -> float:
    """Return a client's change of age; raise unless it is a number in the range."""
    if isinstance(years, bool) or not isinstance(years, (int, float)) or not -MAX_YEARS <= years <= MAX_YEARS:
        raise ReliableSwapError(
            f"age is {years!r}; choose a number of years from {-MAX_YEARS:g} to {MAX_YEARS:g}"
        )
    return float(years)


def swap_options(strengths: Iterable[object], attributes: object, age: object) -> dict[str, Any]:
    """Return a pipeline's options by name: strengths in the order of STRENGTHS, attributes, and age."""
    return {
        **check_strengths(*strengths),
        "attributes": parse_attributes(attributes),
        "age": check_age(age),
    }


def parse_faces(faces: Any, who: str = "face", first: int = 0) -> dict[int, int]:
    """Return {face: source} for "0=1, 2=0" or for a mapping; without either, the first face gets source 0.

    who, first: what is numbered, and from which number: the faces of a photo, or the people of a clip.
    """
    if faces is None or (isinstance(faces, str) and not faces.strip()):
        return {first: 0}
    try:
        if isinstance(faces, str):
            pairs: list[Any] = [pair.split("=") for pair in faces.split(",")]
            mapping = {int(face): int(source) for face, source in pairs}
        else:
            pairs = list(dict(faces).items())
            mapping = {operator.index(face): operator.index(source) for face, source in pairs}
    except (TypeError, ValueError):
        raise ReliableSwapError(
            f"{_PLURALS[who]} must be pairs of a {who}'s and a source's number, {_COUNTED[who]}"
        ) from None
    if len(mapping) < len(pairs):
        raise ReliableSwapError(f"{_PLURALS[who]} {faces} gives one {who} two sources; give each {who} one")
    return mapping


def check_engine(engine: object) -> None:
    """Raise unless it is the name of an engine."""
    if engine not in ENGINES:
        raise ReliableSwapError(f"unknown engine {engine!r}; choose {', '.join(ENGINES)}")


def check_sources(sources: Collection[int], faces: Mapping[int, int], who: str = "face") -> None:
    """Raise unless there are 1 to MAX_SOURCES sources, among them every source that a face is mapped to."""
    if not sources:
        raise ReliableSwapError("there is no source; add at least one picture with the face to put in")
    if len(sources) > MAX_SOURCES:
        raise ReliableSwapError(f"{len(sources)} sources are too many; give at most {MAX_SOURCES}")
    for face, source in faces.items():
        if source not in sources:
            given = ", ".join(str(number) for number in sorted(sources))
            raise ReliableSwapError(
                f"{who} {face} is mapped to source {source}, which was not given; choose from {given}"
            )
