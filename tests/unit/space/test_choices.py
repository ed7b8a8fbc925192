"""Which face gets which source, on the page and in the API."""

from __future__ import annotations

from typing import Any

import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.space.app.choosing import LEAVE_ALONE as ALONE
from reliableswap.space.app.choosing import keep_choices, label_sources
from reliableswap.space.inputs import check_age, check_sources, parse_attributes, parse_faces


@pytest.mark.parametrize(
    ("sources", "chosen", "kept"),
    [
        (0, [ALONE, ALONE, ALONE], [ALONE, ALONE, ALONE]),
        (1, [ALONE, ALONE, ALONE], [0, ALONE, ALONE]),
        (2, [ALONE, 1, ALONE], [ALONE, 1, ALONE]),
        (1, [1, 0, ALONE], [ALONE, 0, ALONE]),  # the first face's source is gone
        (1, [1, ALONE, ALONE], [0, ALONE, ALONE]),
    ],
)
def test_choices_follow_the_sources(sources: int, chosen: list[int], kept: list[int]) -> None:
    assert keep_choices(sources, chosen) == kept


def test_sources_are_labelled_in_their_order() -> None:
    gallery = [{"image": {"path": f"/{n}.png"}, "caption": None} for n in range(3)]
    assert label_sources(gallery) == [("/0.png", "Source A"), ("/1.png", "Source B"), ("/2.png", "Source C")]


@pytest.mark.parametrize(
    ("faces", "mapping"),
    [(None, {0: 0}), (" ", {0: 0}), ("2=1,0 = 3", {2: 1, 0: 3}), ({2: 1}, {2: 1})],
)
def test_a_mapping_is_read(faces: Any, mapping: dict[int, int]) -> None:
    assert parse_faces(faces) == mapping


@pytest.mark.parametrize("faces", ["left=0", "0", "0=1=2", [1, 2], 5, {0: "x"}])
def test_an_invalid_mapping_is_refused(faces: Any) -> None:
    with pytest.raises(ReliableSwapError, match="faces must be pairs"):
        parse_faces(faces)


def test_a_face_gets_one_source_only() -> None:
    with pytest.raises(ReliableSwapError, match="gives one face two sources"):
        parse_faces("0=0, 0=1")


def test_a_mapping_names_sources_that_were_given() -> None:
    check_sources({0, 2}, {0: 2})
    with pytest.raises(ReliableSwapError, match="mapped to source 1, which was not given; choose from 0, 2"):
        check_sources({0, 2}, {0: 1})
    with pytest.raises(ReliableSwapError, match="7 sources are too many"):
        check_sources(range(7), {0: 0})


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        (None, {}),
        (" ", {}),
        ("brows=target, glasses = source", {"brows": "target", "glasses": "source"}),
        ({"skin": "target", "lips": "source"}, {"skin": "target"}),
    ],
)
def test_parts_are_read(given: Any, changed: dict[str, str]) -> None:
    assert parse_attributes(given) == changed


@pytest.mark.parametrize("given", ["brows", "brows=target=source", 5, [1, 2]])
def test_invalid_attributes_are_refused(given: Any) -> None:
    with pytest.raises(ReliableSwapError, match="attributes must be pairs of a part and source or target"):
        parse_attributes(given)


def test_a_part_named_twice_and_invalid_years_are_refused() -> None:
    with pytest.raises(ReliableSwapError, match="names a part twice"):
        parse_attributes("brows=target, brows=source")
    assert check_age(-3) == -3.0
    for years in (True, "5", None, 15.5, float("nan")):
        with pytest.raises(ReliableSwapError, match="choose a number of years"):
            check_age(years)
