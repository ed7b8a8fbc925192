"""The bundled networks that describe and draw: what they say of people, and whether drawings show faces."""

from __future__ import annotations

import numpy as np
import pytest
from support.blend_faces import painted_glasses
from support.people import portrait

from reliableswap import UnifiedFacePipeline

MEN = (5, 7, 8)  # of openpeople's ten

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def describer() -> UnifiedFacePipeline:
    return UnifiedFacePipeline.bundled()


def test_women_and_men_are_told_apart(describer: UnifiedFacePipeline) -> None:
    said = {n: describer.ask(portrait(n, 200), "is this a man or a woman?") for n in range(1, 11)}
    assert sum(said[n] == ("a man" if n in MEN else "a woman") for n in said) >= 9


def test_glasses_are_seen(describer: UnifiedFacePipeline) -> None:
    for number in (2, 5, 9):
        photo = portrait(number, 200)
        with_glasses = painted_glasses(photo, describer.analyser(photo)[0].mesh)
        answers = [describer.ask(each, "does the person wear glasses?") for each in (photo, with_glasses)]
        assert answers == ["no", "yes"], number


def test_a_description_says_what_can_be_seen(describer: UnifiedFacePipeline) -> None:
    said = describer.describe(portrait(5, 200))
    assert "man" in said.split()
    assert "smiling" not in said.replace("not smiling", "")


def test_drawings_are_faces_that_fit_their_words(describer: UnifiedFacePipeline) -> None:
    for words, answer in (("a young woman, smiling", "a woman"), ("a man with a beard", "a man")):
        drawn = [one.pixels for one in describer.draw(words, seed=1, count=4).pictures]
        found = [one for one in drawn if describer.analyser(one)]
        assert len(found) >= 3
        assert [describer.ask(one, "is this a man or a woman?") for one in found].count(answer) >= len(found) - 1
        again = describer.draw(words, seed=1, count=4).pictures
        assert all(np.array_equal(one, other.pixels) for one, other in zip(drawn, again, strict=True))
