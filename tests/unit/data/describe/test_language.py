"""Captions, questions and answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliableswap.data.describe.attributes import ATTRIBUTES, mirrored
from reliableswap.data.describe.language import (
    caption,
    describe_question,
    fixed_questions,
    mirrored_text,
    questions,
    stated,
    vocabulary,
)
from reliableswap.models.unified.words import number_words, split_words, unknown_words

faces = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in ATTRIBUTES.items()}
)
seeds = st.integers(0, 10_000).map(np.random.default_rng)
PLAIN = {"glasses": "none", "beard": "none", "mouth": "closed", "makeup": "none", "headwear": "none"}


@given(faces, seeds)
def test_a_caption_states_its_attributes_and_no_others(
    attributes: dict[str, str], rng: np.random.Generator
) -> None:
    found = stated(caption(attributes, rng))
    assert found.items() <= attributes.items()
    for name in attributes.keys() - found.keys():
        assert PLAIN.get(name) == attributes[name]


@given(faces, seeds)
def test_a_part_of_a_caption_states_less(attributes: dict[str, str], rng: np.random.Generator) -> None:
    assert stated(caption(attributes, rng, 0.4)).items() <= attributes.items()


@pytest.mark.slow
@given(faces, seeds)
def test_every_word_is_in_the_vocabulary(attributes: dict[str, str], rng: np.random.Generator) -> None:
    texts = [caption(attributes, rng), describe_question(rng)]
    texts += [text for one in questions(attributes, rng) for text in (one.question, one.answer)]
    for text in texts:
        assert unknown_words(text, vocabulary()) == []
        assert len(number_words(text, vocabulary())) < 90


@given(faces, seeds)
def test_a_mirror_image_of_the_words_is_that_of_the_face(
    attributes: dict[str, str], rng: np.random.Generator
) -> None:
    text = caption(attributes, rng)
    assert stated(mirrored_text(text)) == mirrored(stated(text))
    assert mirrored_text(mirrored_text(text)) == text


def test_answers_are_true() -> None:
    rng = np.random.default_rng(0)
    for value in ATTRIBUTES["glasses"]:
        for _ in range(30):
            (one,) = questions({"glasses": value}, rng)
            if one.answer in ("yes", "no"):
                asks = {"sunglasses"} if "sunglasses" in one.question else {"glasses", "sunglasses"}
                assert one.answer == ("yes" if value in asks else "no")
            else:
                assert one.answer == value


def test_yes_is_as_frequent_as_no() -> None:
    rng = np.random.default_rng(0)
    said = [one.answer for _ in range(400) for one in questions({"hair": "red"}, rng)]
    assert 0.35 < said.count("yes") / (said.count("yes") + said.count("no")) < 0.65


def test_a_question_does_not_give_away_the_gender_that_it_asks_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        (one,) = questions({"gender": "woman"}, rng)
        assert not {"she", "her", "he", "his"} & set(split_words(one.question))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "an old man, not smiling, without glasses",
            {"gender": "man", "age": "old", "smile": "serious", "glasses": "none"},
        ),
        (
            "A bearded man with glasses, smiling",
            {"gender": "man", "beard": "beard", "glasses": "glasses", "smile": "smiling"},
        ),
        (
            "a woman with sunglasses, head turned left",
            {"gender": "woman", "glasses": "sunglasses", "pose": "left"},
        ),
    ],
)
def test_freely_worded_descriptions_are_understood(text: str, found: dict[str, str]) -> None:
    assert stated(text) == found


def test_there_is_a_question_for_every_attribute() -> None:
    asked = fixed_questions()
    assert asked.keys() == ATTRIBUTES.keys()
    for name, (_, answers) in asked.items():
        assert set(ATTRIBUTES[name]) == set(answers)
        assert len(set(answers.values())) == len(answers)
