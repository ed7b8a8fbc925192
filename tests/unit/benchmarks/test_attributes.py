"""The pairs and probes of benchmarks/attributes.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.people import portrait
from support.published import load_benchmark

from reliableswap import ReliableSwapPipeline


@dataclass(frozen=True)
class RatedPhoto:
    """A photo with a fixed probe value."""

    value: float
    person: str


@pytest.fixture(scope="module")
def script() -> Any:
    return load_benchmark("attributes")


def test_pairs_differ_and_nobody_is_on_one_side_more_than_twice(script: Any) -> None:
    probe = script.Probe(lambda seen: np.array(seen.value), 0.8, None)
    photos = [RatedPhoto(float(n % 2), str(n)) for n in range(10)]
    pairs = script.draw_pairs(photos, probe, 50, seed=0)
    assert pairs
    assert all(abs(a.value - b.value) >= 0.8 for a, b in pairs)
    for side in (0, 1):
        names = [pair[side].person for pair in pairs]
        assert max(names.count(name) for name in names) <= 2
    assert pairs == script.draw_pairs(photos, probe, 50, seed=0)
    assert script.draw_pairs([RatedPhoto(0.0, "a"), RatedPhoto(0.0, "b")], probe, 5, seed=0) == []


@pytest.mark.slow
def test_kept_lips_are_distinguished_from_those_of_a_plain_swap(
    script: Any, pipe: ReliableSwapPipeline
) -> None:
    people = [script.analyse(pipe, portrait(n, 300), person=str(n)) for n in (2, 4, 5, 8)]
    probe = script.PROBES["lips"]
    pairs = [(a, b) for a in people for b in people if a is not b]
    source, target = max(pairs, key=lambda pair: probe.distance(*pair))
    found = script.measure_pair(pipe, "lips", source, target)
    assert found["right"] == 1
    assert found["others"] < 0.3
