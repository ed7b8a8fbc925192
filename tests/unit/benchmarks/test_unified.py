"""The unified networks' benchmark counts what descriptions state, and draws men with and without a beard."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.described import tiny_tokeniser, tiny_transformer, write_described

from reliableswap.data.describe.rows import read_rows

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import unified
import unified_drawings


def test_descriptions_are_counted_by_attribute() -> None:
    texts = ["a man , with glasses , smiling", "a woman , with a beard", "a man"]
    truth = [{"gender": "man", "glasses": "glasses"}, {"gender": "man"}, {"gender": "man", "glasses": "none"}]
    found = unified.description_shares(texts, truth, ["a", "b", "c"])
    assert set(found) == {"all", "gender", "glasses"}
    assert found["gender"]["precision"]["value"] == pytest.approx(200 / 3)
    assert found["gender"]["recall"]["count"] == 3
    assert found["glasses"]["precision"]["count"] == 1
    assert found["glasses"]["recall"]["value"] == 50
    assert found["glasses"]["notable"]["value"] == 100
    assert found["all"]["precision"]["value"] == 75
    assert found["all"]["recall"]["value"] == 60


def test_intervals_are_over_people() -> None:
    right = [True] * 30 + [False] * 30
    alone, together = (
        unified_drawings.share(right, people) for people in (None, ["a"] * 15 + ["b"] * 15 + ["c"] * 30)
    )
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])


def test_the_same_men_are_drawn_with_and_without_a_beard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []

    def beards_seen(pictures: Sequence[np.ndarray], people: Sequence[str]) -> dict[str, float] | None:
        assert len(pictures) == len(people)
        seen.append(np.array(pictures))
        return unified_drawings.share([True] * len(people), people) if people else None

    monkeypatch.setattr(unified_drawings, "beards_seen", beards_seen)
    tokeniser = tiny_tokeniser()
    network = tiny_transformer(tokeniser)
    faces = read_rows(write_described(tmp_path), "train")
    tokens = unified_drawings.tokens_of(tokeniser, [faces.crop(i) for i in range(len(faces))])
    options = argparse.Namespace(seed=0, steps=2, guidance=4.0, temperature=1.0)
    found = unified_drawings.measure_beards(tokeniser, network, faces, tokens, 4, options)
    assert list(found)[:6] == list(unified_drawings.BEARDS)
    assert [len(one) for one in seen] == [4] * 6 + [0] * 4
    table = unified.table({"beards": found, "descriptions": {"gender": {"recall": found["a man"]}}})
    assert "| a man | 4 | 100 [" in table
    assert "| photos, beard | 0 | - |" in table
    assert "| gender | 4 | 0 | - | 100 [" in table
