"""The attributes of a face that descriptions name, and how labels and measures become their values.

A face's attributes are a mapping from the attribute's name to one of its values. An attribute that was not measured, or
whose measure lies between two values, is left out, so that nothing is said about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Attributes = Mapping[str, str]

# left and right are the viewer's. The first value is what most faces have.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "gender": ("woman", "man"),
    "age": ("young", "middle-aged", "old"),
    "glasses": ("none", "glasses", "sunglasses"),
    "beard": ("none", "stubble", "beard"),
    "smile": ("smiling", "serious"),
    "mouth": ("closed", "open"),
    "pose": ("front", "left", "right"),
    "hair": ("brown", "black", "blond", "grey", "red", "bald"),
    "skin": ("light", "medium", "dark"),
    "makeup": ("none", "makeup"),
    "headwear": ("none", "hat"),
}
_MIRRORED = {"left": "right", "right": "left"}
# Limits between the ages in years, and how near to them nothing is said.
_YOUNG, _OLD, _DOUBT = 35.0, 55.0, 2.0
# Degrees of yaw from which a head is turned, and up to which it faces the camera.
_TURNED, _FRONT = 20.0, 12.0
_OPEN, _CLOSED = 0.18, 0.08  # gap between the lips in mouth widths
_BEARDED = 0.08  # share of the lower face that is hair
_HAIR_COLOURS = {
    "brown": "brown",
    "black": "black",
    "blond": "blond",
    "gray": "grey",
    "red": "red",
    "white": "grey",
}
_SURE_COLOUR = 0.75  # confidence from which a label's hair colour counts
_LIGHT_SKIN, _DARK_SKIN, _SKIN_DOUBT = 35.0, 5.0, 4.0  # degrees of the individual typology angle


def mirrored(attributes: Attributes) -> dict[str, str]:
    """The attributes of the mirror image."""
    return {
        name: _MIRRORED.get(value, value) if name == "pose" else value for name, value in attributes.items()
    }


def attributes_from_measures(measures: Mapping[str, float | None]) -> dict[str, str]:
    """Attributes from the numbers of `measures.MEASURES`; those in doubt are left out."""
    found: dict[str, str | None] = {
        "gender": _below_or_above(measures.get("male"), 0.25, "woman", 0.75, "man"),
        "age": _age(measures.get("years")),
        "glasses": _glasses(measures.get("glasses"), measures.get("dark_lenses")),
        "smile": _below_or_above(measures.get("smile"), -0.01, "serious", 0.04, "smiling"),
        "mouth": _below_or_above(measures.get("mouth"), _CLOSED, "closed", _OPEN, "open"),
        "pose": _pose(measures.get("yaw")),
        "skin": _skin(measures.get("skin_l"), measures.get("skin_b")),
        "hair": _hair(measures),
    }
    # In a man, no beard by this measure does not mean "none": it hardly sees stubble, and few such men are shaven.
    found["beard"] = "none" if found["gender"] == "woman" else _bearded(measures.get("beard"))
    return {name: value for name, value in found.items() if value is not None}


def attributes_from_label(label: Mapping[str, Any]) -> dict[str, str]:
    """Attributes from a face API's label, as in ffhq_attributes.json; those in doubt are left out."""
    hair = label.get("hair", {})
    beard = max(label["facialHair"].get("beard", 0.0), label["facialHair"].get("sideburns", 0.0))
    covered = any(
        one["type"] == "headwear" or one["type"] == "headWear" for one in label.get("accessories", [])
    )
    gender = {"female": "woman", "male": "man"}.get(label.get("gender", ""))
    kind = {"NoGlasses": "none", "ReadingGlasses": "glasses", "Sunglasses": "sunglasses"}
    found: dict[str, str | None] = {
        "gender": gender,
        "age": _age(label.get("age")),
        "glasses": kind.get(label.get("glasses", "")),
        "beard": "none" if gender == "woman" else _beard(beard),
        "smile": _below_or_above(label.get("smile"), 0.3, "serious", 0.7, "smiling"),
        "hair": None if covered else _labelled_hair(hair),
        "makeup": "makeup" if any(label.get("makeup", {}).values()) else "none",
        "headwear": "hat" if covered else "none",
    }
    return {name: value for name, value in found.items() if value is not None}


def _bearded(share: float | None) -> str | None:
    return "beard" if share is not None and share > _BEARDED else None


def _below_or_above(value: float | None, low: float, below: str, high: float, above: str) -> str | None:
    if value is None or low < value < high:
        return None
    return below if value <= low else above


def _age(years: float | None) -> str | None:
    if years is None or min(abs(years - _YOUNG), abs(years - _OLD)) < _DOUBT:
        return None
    return "young" if years < _YOUNG else "middle-aged" if years < _OLD else "old"


def _glasses(score: float | None, dark: float | None) -> str | None:
    if score is None or -1 < score < 2:
        return None
    if score <= -1:
        return "none"
    return _below_or_above(dark, 0.35, "glasses", 0.6, "sunglasses")


def _pose(yaw: float | None) -> str | None:
    if yaw is None or _FRONT < abs(yaw) < _TURNED:
        return None
    return "front" if abs(yaw) <= _FRONT else "left" if yaw > 0 else "right"


def _beard(amount: float) -> str | None:
    return (
        "none" if amount <= 0.1 else "stubble" if 0.2 <= amount <= 0.5 else "beard" if amount >= 0.6 else None
    )


def _skin(lightness: float | None, b: float | None) -> str | None:
    """By the individual typology angle of the skin's colour in Lab."""
    import math

    if lightness is None or b is None:
        return None
    angle = math.degrees(math.atan2(lightness - 50, max(b, 1e-3)))
    if min(abs(angle - _LIGHT_SKIN), abs(angle - _DARK_SKIN)) < _SKIN_DOUBT:
        return None
    return "light" if angle > _LIGHT_SKIN else "medium" if angle > _DARK_SKIN else "dark"


def _hair(measures: Mapping[str, float | None]) -> str | None:
    """Return the colour of the hair by its mean Lab; None if little hair is seen, or if in doubt."""
    share, lightness, a, b = (measures.get(name) for name in ("hair", "hair_l", "hair_a", "hair_b"))
    if share is None or lightness is None or a is None or b is None or share < 0.05:
        return None
    if lightness < 12 and b < 3:
        return "black"
    if lightness > 40 and abs(a) < 4 and abs(b) < 6:
        return "grey"
    if lightness > 42 and b > 14 and a < 12:
        return "blond"
    if 18 < lightness < 36 and b > 6 and 3 < a < 14:
        return "brown"
    return None


def _labelled_hair(hair: Mapping[str, Any]) -> str | None:
    if hair.get("invisible"):
        return None
    if hair.get("bald", 0.0) >= 0.85:
        return "bald"
    colours = hair.get("hairColor", [])
    if not colours:
        return None
    best = max(colours, key=lambda one: one["confidence"])
    others = [one["confidence"] for one in colours if one is not best]
    if best["confidence"] < _SURE_COLOUR or (others and max(others) > best["confidence"] - 0.1):
        return None
    return _HAIR_COLOURS.get(best["color"])
