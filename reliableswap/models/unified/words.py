"""Words and special tokens of the unified model: text to word numbers and back."""

from __future__ import annotations

import re
from collections.abc import Sequence

PAD, UNKNOWN, ANSWER, END = "<pad>", "<unknown>", "<answer>", "<end>"
SPECIAL_TOKENS = (PAD, UNKNOWN, ANSWER, END)  # the first numbers of every vocabulary, in this order
_WORD = re.compile(r"[a-z]+|'s|[?,]")
_SYNONYMS = {
    "spectacles": "glasses", "specs": "glasses", "shades": "sunglasses", "gray": "grey", "blonde": "blond",
    "color": "colour", "female": "woman", "male": "man", "laughing": "smiling", "cap": "hat", "tan": "tanned",
    "elder": "old", "photograph": "photo", "image": "picture",
}  # fmt: skip


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words, question marks and commas; replace synonyms by the templates' word."""
    return [_SYNONYMS.get(word, word) for word in _WORD.findall(text.lower())]


def number_words(text: str, vocabulary: Sequence[str]) -> list[int]:
    """Return the numbers of a text's words; a word that is not in the vocabulary becomes UNKNOWN."""
    known = {word: number for number, word in enumerate(vocabulary, len(SPECIAL_TOKENS))}
    return [known.get(word, SPECIAL_TOKENS.index(UNKNOWN)) for word in split_words(text)]


def unknown_words(text: str, vocabulary: Sequence[str]) -> list[str]:
    """Return the words of a text that the vocabulary lacks, in order."""
    known = set(vocabulary)
    return [word for word in split_words(text) if word not in known]


def join_words(numbers: Sequence[int], vocabulary: Sequence[str]) -> str:
    """Join word numbers up to END into a text with normal punctuation."""
    words = []
    for number in numbers:
        if number == SPECIAL_TOKENS.index(END):
            break
        if number >= len(SPECIAL_TOKENS):
            words.append(vocabulary[number - len(SPECIAL_TOKENS)])
    text = " ".join(words)
    for mark in (",", "?", "'s"):
        text = text.replace(f" {mark}", mark)
    return text
