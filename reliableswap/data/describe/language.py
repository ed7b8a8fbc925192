"""Captions, questions and answers made from attributes, and the attributes that a caption states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .attributes import ATTRIBUTES, Attributes
from .phrases import AGES, DESCRIBE, MORE_WORDS, NOUNS, PERSONS, PHRASES, QUESTIONS, YES_NO_QUESTIONS

Rng = np.random.Generator
# Values that a caption seldom mentions.
PLAIN = {"glasses": "none", "beard": "none", "mouth": "closed", "makeup": "none", "headwear": "none"}
_PLAIN_SAID = 0.2  # how often a full caption mentions what most faces lack
_WORD = re.compile(r"[a-z]+|'s|[?,]")


@dataclass(frozen=True)
class QuestionAnswer:
    """A question with its answer, and the attribute that it is about; "" for a whole description."""

    attribute: str
    question: str
    answer: str


def caption(attributes: Attributes, rng: Rng, share: float = 1.0) -> str:
    """Draw a caption that states each attribute with the probability `share`.

    What most faces lack, such as a hat, is seldom mentioned.
    """
    said = {name: value for name, value in attributes.items() if rng.random() < share}
    gender = said.get("gender")
    noun = str(rng.choice(NOUNS[gender]))
    if "age" in said:
        noun = f"{rng.choice(AGES[said['age']])} {noun}"
    if said.get("beard") == "beard" and gender == "man" and rng.random() < 0.4:
        noun, said = f"bearded {noun}", {name: value for name, value in said.items() if name != "beard"}
    parts = []
    for name in PHRASES:
        value = said.get(name)
        if value is None or (name == "beard" and gender != "man" and value == "none"):
            continue
        if PLAIN.get(name) == value and rng.random() > _PLAIN_SAID:
            continue
        parts.append(str(rng.choice(PHRASES[name][value])))
    rng.shuffle(parts)
    return " , ".join([f"{'an' if noun[0] in 'aeo' else 'a'} {noun}", *parts])


def questions(attributes: Attributes, rng: Rng) -> list[QuestionAnswer]:
    """Draw a question about every attribute whose value is known. About two thirds are yes-or-no questions."""
    found = []
    for name, value in attributes.items():
        if name == "beard" and attributes.get("gender") == "woman" and rng.random() < 0.7:
            continue
        gender = attributes.get("gender") if name != "gender" and rng.random() < 0.5 else None
        persons = PERSONS[gender]
        words = persons[int(rng.integers(len(persons)))]
        whether = YES_NO_QUESTIONS.get(name, ())
        if whether and (name not in QUESTIONS or rng.random() < 0.67):
            form, answer = _whether(whether, value, rng)
        else:
            forms, answers = QUESTIONS[name]
            form, answer = str(rng.choice(forms)), answers[value]
        found.append(QuestionAnswer(name, form.format(**words), answer))
    return found


def _whether(
    kinds: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...], value: str, rng: Rng
) -> tuple[str, str]:
    """A yes-or-no question and its answer; yes as often as no where the kinds allow."""
    true = [kind for kind in kinds if value in kind[0]]
    false = [kind for kind in kinds if value not in kind[0]]
    asked = true if true and (not false or rng.random() < 0.5) else false
    values, forms = asked[int(rng.integers(len(asked)))]
    return str(rng.choice(forms)), "yes" if value in values else "no"


def wording(
    attributes: Attributes, seed: int, captions: int, rounds: int
) -> tuple[list[str], list[QuestionAnswer]]:
    """Captions of a face, and `rounds` of questions about each attribute: the same for the same attributes and seed.

    The first half of the captions states everything that is known.
    """
    rng = np.random.default_rng(seed)
    known = {name: attributes[name] for name in ATTRIBUTES if name in attributes}
    full = captions - captions // 2
    said = [caption(known, rng, 1.0 if k < full else rng.uniform(0.3, 0.9)) for k in range(captions)]
    return said, [one for _ in range(rounds) for one in questions(known, rng)]


def describe_question(rng: Rng) -> str:
    """A request for a whole description."""
    return str(rng.choice(DESCRIBE))


def fixed_questions() -> dict[str, tuple[str, dict[str, str]]]:
    """One question for each attribute, with its answer to each value, for evaluation."""
    words = PERSONS[None][0]
    found = {name: (forms[0].format(**words), answers) for name, (forms, answers) in QUESTIONS.items()}
    for name in ("makeup", "headwear"):
        values, forms = YES_NO_QUESTIONS[name][0]
        found[name] = (forms[0].format(**words), {"none": "no", values[0]: "yes"})
    return found


def stated(text: str) -> dict[str, str]:
    """The attributes that a caption states in the templates' words."""
    words = " ".join(_WORD.findall(text.lower()))
    found = {}
    for pattern, name, value in _patterns():
        if name not in found and pattern.search(words):
            found[name] = value
    return found


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern[str], str, str]]:
    """What to look for, longest first, so that `not smiling` is seen before `smiling`."""
    known = [
        (phrase, name, value)
        for name, values in PHRASES.items()
        for value, said in values.items()
        for phrase in said
    ]
    known += [(noun, "gender", value) for value, nouns in NOUNS.items() if value for noun in nouns]
    known += [(word, "age", value) for value, words in AGES.items() for word in words]
    known += [(f"{colour} haired", "hair", colour) for colour in PHRASES["hair"]]
    known += [("glasses", "glasses", "glasses"), ("beard", "beard", "beard"), ("hat", "headwear", "hat")]
    known.sort(key=lambda one: -len(one[0]))
    return [(re.compile(rf"\b{re.escape(phrase)}\b"), name, value) for phrase, name, value in known]


def mirrored_text(text: str) -> str:
    """The text of the mirror image: left and right change places."""
    swap = {"left": "right", "right": "left"}
    return " ".join(swap.get(word, word) for word in text.split(" "))


def vocabulary() -> list[str]:
    """Every word of the templates and of MORE_WORDS, sorted."""
    return sorted({word for text in _texts() for word in _WORD.findall(text.lower())})


def _texts() -> Iterator[str]:
    yield MORE_WORDS
    yield from DESCRIBE
    for values in PHRASES.values():
        for said in values.values():
            yield from said
    for group in (NOUNS, AGES):
        for said in group.values():
            yield from said
    for persons in PERSONS.values():
        for words in persons:
            yield from words.values()
    for forms, answers in QUESTIONS.values():
        yield from (form.format(they="", their="") for form in forms)
        yield from answers.values()
    for kinds in YES_NO_QUESTIONS.values():
        for _, forms in kinds:
            yield from (form.format(they="", their="") for form in forms)
    yield "bearded , ? bald haired"
