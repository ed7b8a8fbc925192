"""Attributes from labels and measures."""

from __future__ import annotations

from typing import Any

from reliableswap.data.describe.attributes import (
    ATTRIBUTES,
    attributes_from_label,
    attributes_from_measures,
    mirrored,
)

LABEL: dict[str, Any] = {
    "accessories": [], "age": 62.0, "facialHair": {"beard": 0.8, "moustache": 0.1, "sideburns": 0.2},
    "gender": "male", "glasses": "ReadingGlasses", "makeup": {"eyeMakeup": False, "lipMakeup": False}, "smile": 0.95,
    "hair": {
        "bald": 0.1, "invisible": False,
        "hairColor": [{"color": "gray", "confidence": 0.98}, {"color": "brown", "confidence": 0.4}],
    },
}  # fmt: skip
MEASURES: dict[str, float | None] = {
    "male": 0.9, "years": 44.0, "glasses": -5.0, "dark_lenses": 0.0, "smile": 0.1, "mouth": 0.3, "yaw": 30.0,
    "skin_l": 70.0, "skin_b": 15.0, "hair": 0.2, "hair_l": 10.0, "hair_a": 1.0, "hair_b": 2.0, "beard": 0.01,
}  # fmt: skip


def test_labels_become_values() -> None:
    found = attributes_from_label(LABEL)
    assert found == {
        "gender": "man", "age": "old", "glasses": "glasses", "beard": "beard", "smile": "smiling", "hair": "grey",
        "makeup": "none", "headwear": "none",
    }  # fmt: skip


def test_what_a_label_leaves_open_is_left_out() -> None:
    colours = [{"color": "black", "confidence": 0.9}, {"color": "brown", "confidence": 0.85}]
    unsure = {**LABEL, "smile": 0.5, "age": 36.0, "hair": {**LABEL["hair"], "hairColor": colours}}
    assert not {"smile", "age", "hair"} & attributes_from_label(unsure).keys()


def test_hair_under_a_hat_has_no_colour() -> None:
    found = attributes_from_label({**LABEL, "accessories": [{"type": "headWear", "confidence": 1.0}]})
    assert found["headwear"] == "hat"
    assert "hair" not in found


def test_measures_become_values() -> None:
    found = attributes_from_measures(MEASURES)
    assert found == {
        "gender": "man", "age": "middle-aged", "glasses": "none", "smile": "smiling", "mouth": "open", "pose": "left",
        "skin": "light", "hair": "black",
    }  # fmt: skip
    assert all(value in ATTRIBUTES[name] for name, value in found.items())


def test_measures_between_two_values_say_nothing() -> None:
    assert "gender" not in attributes_from_measures({**MEASURES, "male": 0.5})
    assert "pose" not in attributes_from_measures({**MEASURES, "yaw": -16.0})
    assert "glasses" not in attributes_from_measures({**MEASURES, "glasses": 0.5})
    assert attributes_from_measures({}) == {}


def test_a_beard_has_to_be_seen_and_a_woman_has_none() -> None:
    assert attributes_from_measures({**MEASURES, "beard": 0.2})["beard"] == "beard"
    assert "beard" not in attributes_from_measures({**MEASURES, "beard": 0.05})
    assert attributes_from_measures({**MEASURES, "male": 0.1, "beard": 0.2})["beard"] == "none"


def test_dark_lenses_make_sunglasses() -> None:
    assert (
        attributes_from_measures({**MEASURES, "glasses": 6.0, "dark_lenses": 0.9})["glasses"] == "sunglasses"
    )
    assert attributes_from_measures({**MEASURES, "glasses": 6.0, "dark_lenses": 0.1})["glasses"] == "glasses"


def test_a_mirror_turns_heads() -> None:
    assert mirrored({"pose": "left", "hair": "red"}) == {"pose": "right", "hair": "red"}
    assert mirrored({"pose": "front"}) == {"pose": "front"}
