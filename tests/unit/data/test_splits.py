"""The one rule for held-out people."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from reliableswap.data.splits import HELD_OUT, Split, holds_out, place_of
from reliableswap.errors import ReliableSwapError

NAMES = [f"lfw/Person_{i}" for i in range(3000)]


def test_about_a_tenth_is_held_out_whatever_the_folder_above() -> None:
    kept = [name for name in NAMES if holds_out(name)]
    assert 0.08 < len(kept) / len(NAMES) < 0.12
    assert all(holds_out(name.removeprefix("lfw/")) for name in kept)


@pytest.mark.parametrize("text", ["90/5/5", "98/1/1", "60/40/0", "80/10/10", "9/0.5/0.5", "1/0/0"])
def test_a_split_holds_out_whom_its_share_says(text: str) -> None:
    split = Split.parse(text)
    assert str(split) == text
    for name in NAMES[:500]:
        assert split.holds_out(name) == (split.of(name) != "train") == holds_out(name, split.held_out)


def test_larger_held_out_shares_contain_smaller_ones() -> None:
    shares = (0.5, 2, HELD_OUT, 40)
    for smaller, larger in itertools.pairwise(shares):
        assert {n for n in NAMES if holds_out(n, smaller)} <= {n for n in NAMES if holds_out(n, larger)}


def test_places_of_names_do_not_change() -> None:
    assert [round(place_of(name), 4) for name in ("P001", "P002", "Aaron_Eckhart")] == [
        0.8013,
        0.9807,
        0.1585,
    ]


@pytest.mark.parametrize("text", ["90/10", "a/b/c", "-1/5/5", "0/0/0", "nan/1/1", "inf/5/5"])
def test_what_is_no_split_is_an_error(text: str) -> None:
    with pytest.raises(ReliableSwapError, match=r"for example 90/5/5|such as 90/5/5"):
        Split.parse(text)


def test_the_split_is_a_hash_of_the_name_in_the_shares_asked_for() -> None:
    names = [f"person {i}" for i in range(4000)]
    counts = Counter(Split().of(name) for name in names)
    assert abs(counts["train"] / 4000 - 0.9) < 0.02
    assert abs(counts["test"] / 4000 - 0.05) < 0.015
    # Known answers: a change would move people of published data from training to test.
    known = {
        "Ann": "train",
        "Zoë": "train",
        "lfw/person 13": "validation",
        "person 36": "test",
        "person 69": "test",
    }
    assert {name: Split().of(name) for name in known} == known
    assert {Split(0, 0, 1).of(name) for name in names[:50]} == {"test"}
