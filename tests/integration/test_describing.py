"""The bundled networks that describe and draw: what they say about people, and whether drawings show faces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.people import portrait

from reliableswap import UnifiedFacePipeline
from reliableswap.cli.main import main

MEN = (5, 7, 8)  # of openpeople's ten

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def describer() -> UnifiedFacePipeline:
    return UnifiedFacePipeline.bundled()


def test_women_and_men_are_told_apart(describer: UnifiedFacePipeline) -> None:
    said = {n: describer.ask(portrait(n, 200), "is this a man or a woman?") for n in range(1, 11)}
    assert sum(said[n] == ("a man" if n in MEN else "a woman") for n in said) >= 9


def test_absent_glasses_and_beards_are_not_reported(describer: UnifiedFacePipeline) -> None:
    for question in ("does the person wear glasses?", "does she have a beard?"):
        assert [describer.ask(portrait(n, 200), question) for n in (3, 9, 10)].count("no") >= 2


def test_drawings_are_faces_that_fit_their_words(describer: UnifiedFacePipeline) -> None:
    for words, answer in (("a young woman, smiling", "a woman"), ("a man with a beard", "a man")):
        drawn = [one.pixels for one in describer.draw(words, seed=1, count=3, steps=8).pictures]
        found = [one for one in drawn if describer.analyser(one)]
        assert len(found) >= 2
        assert [describer.ask(one, "is this a man or a woman?") for one in found].count(answer) >= 2


def test_a_seed_draws_the_same_face_again(describer: UnifiedFacePipeline) -> None:
    one, again, other = (describer.draw("a man", seed=seed, steps=2).pictures[0].pixels for seed in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_commands_need_no_model(
    describer: UnifiedFacePipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(portrait(5, 200)).save(photo)
    assert main(["ask", str(photo), "is this a man or a woman?"]) == 0
    assert capsys.readouterr().out.strip() == "a man"
    assert main(["faces", str(photo), "--describe", "--json"]) == 0
    face = json.loads(capsys.readouterr().out)["faces"][0]
    assert face["description"] == describer.describe(portrait(5, 200))
    assert main(["draw", "a man", "-o", str(tmp_path / "drawn.png"), "--steps", "2"]) == 0
