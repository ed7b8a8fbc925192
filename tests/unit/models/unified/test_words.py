"""The words of the unified model."""

from __future__ import annotations

from reliableswap.models.unified.words import (
    SPECIAL_TOKENS,
    join_words,
    number_words,
    split_words,
    unknown_words,
)

WORDS = ["glasses", "man", "with", "?", ","]


def test_texts_become_words() -> None:
    assert split_words("A man, with Spectacles?") == ["a", "man", ",", "with", "glasses", "?"]


def test_words_become_numbers_and_come_back() -> None:
    numbers = number_words("man with glasses?", WORDS)
    assert join_words(numbers, WORDS) == "man with glasses?"
    assert min(numbers) >= len(SPECIAL_TOKENS)


def test_unknown_words_are_listed() -> None:
    assert unknown_words("a man with a hat", WORDS) == ["a", "a", "hat"]
    assert number_words("hat", WORDS) == [SPECIAL_TOKENS.index("<unknown>")]


def test_words_after_the_end_mark_are_dropped() -> None:
    man = number_words("man", WORDS)
    assert join_words([*man, SPECIAL_TOKENS.index("<end>"), *man], WORDS) == "man"
