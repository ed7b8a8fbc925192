"""Messages about splits without triplets."""

from __future__ import annotations

import re
from pathlib import Path

from reliableswap.data.splits import Split
from reliableswap.triplets.empty_splits import empty_splits

CACHE = Path("out/cache")
NAMES = [f"person {i}" for i in range(2000)]


def people(train: int, validation: int, test: int) -> list[str]:
    """The given numbers of people from the parts of the split 90/5/5."""
    wanted = {"train": train, "validation": validation, "test": test}
    return [
        name for part, count in wanted.items() for name in [n for n in NAMES if Split().of(n) == part][:count]
    ]


def test_no_message_if_every_part_has_rows() -> None:
    rows = {"train": 9, "validation": 1, "test": 1}
    assert empty_splits(lambda: people(20, 2, 2), Split(), rows, rows, CACHE) is None
    assert empty_splits(lambda: people(20, 0, 0), Split(100, 0, 0), {"train": 9}, {"train": 9}, CACHE) is None


def test_a_part_with_too_few_people_comes_with_a_split_that_has_enough() -> None:
    some = people(56, 1, 3)
    text = empty_splits(lambda: some, Split(), {"train": 90, "test": 10}, {"train": 90, "test": 10}, CACHE)
    assert text is not None
    assert "validation: 1 person of 60 fell into it, and a pair needs two people" in text
    assert "test:" not in text
    assert "train without validation" in text
    assert "--cache out/cache" in text
    better = Split.parse(re.findall(r"--split (\S+?)[;,. ]", text + " ")[-1])
    for part in ("train", "validation", "test"):
        assert sum(better.of(name) == part for name in some) > 1


def test_few_people_get_a_split_without_test() -> None:
    some = people(6, 0, 0)
    text = empty_splits(lambda: some, Split(), {"train": 9}, {"train": 9}, CACHE)
    assert text is not None
    better = Split.parse(re.findall(r"--split (\d+/\d+/0)", text)[-1])
    assert min(sum(better.of(name) == part for name in some) for part in ("train", "validation")) > 1


def test_messages_distinguish_parts_without_pairs_from_parts_that_kept_none() -> None:
    text = empty_splits(lambda: people(20, 2, 2), Split(), {"train": 9, "test": 1}, {"train": 9}, CACHE)
    assert text is not None
    assert "validation: its share of the pairs is less than one" in text
    assert "test: the filter dropped all of its pairs" in text
    assert "a larger --pairs and looser filter limits" in text


def test_two_people_can_not_be_split() -> None:
    text = empty_splits(lambda: people(2, 0, 0), Split(), {"train": 9}, {"train": 9}, CACHE)
    assert text is not None
    assert "photos of more people" in text
