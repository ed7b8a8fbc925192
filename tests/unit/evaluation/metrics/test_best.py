"""A method is marked as the best only if its lead is more than chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reliableswap.evaluation.metrics.best import best_methods
from reliableswap.evaluation.metrics.summary import summarise
from reliableswap.evaluation.protocols.shots import Pair, Shot
from reliableswap.evaluation.results import MethodResult, PairResult

PAIRS = [
    Pair(str(n), Shot(Path(f"s{n}"), f"source {n}"), Shot(Path(f"t{n}"), f"target {n}")) for n in range(40)
]


def method(name: str, poses: np.ndarray, control: bool = False) -> MethodResult:
    pairs = [PairResult(pair, {"pose": float(value)}) for pair, value in zip(PAIRS, poses, strict=False)]
    result = MethodResult(name, control, pairs)
    summarise(result, 0)
    return result


def test_a_small_lead_on_every_pair_is_marked_and_one_by_chance_is_not(rng: np.random.Generator) -> None:
    poses = rng.uniform(1, 9, 40)
    surely = [method("a", poses), method("b", poses - rng.uniform(0.05, 0.15, 40))]
    assert best_methods(surely, 0) == {"pose": "b"}
    by_chance = [method("a", poses), method("b", rng.permutation(poses) - 0.05)]
    assert best_methods(by_chance, 0) == {}


def test_the_best_must_lead_over_each_other_method(rng: np.random.Generator) -> None:
    poses = rng.uniform(1, 9, 40)
    three = [method("a", poses), method("b", poses - 1), method("c", poses - 1 - rng.normal(0.01, 1, 40))]
    assert best_methods(three, 0) == {}


def test_controls_and_single_methods_are_never_the_best(rng: np.random.Generator) -> None:
    poses = rng.uniform(1, 9, 40)
    assert best_methods([method("a", poses), method("b", poses - 1, control=True)], 0) == {}


def test_a_few_pairs_prove_nothing() -> None:
    assert best_methods([method("a", np.ones(5)), method("b", np.zeros(5))], 0) == {}


@pytest.mark.parametrize(("clips", "best"), [(1, {}), (7, {}), (8, {"pose": "b"})])
def test_a_lead_on_a_few_clips_proves_nothing_however_many_frames_they_have(
    clips: int, best: dict[str, str], rng: np.random.Generator
) -> None:
    frames = [
        Pair(f"{n}/{k}", Shot(Path("s"), "s"), Shot(Path("t"), "t", k), clip=str(n))
        for n in range(clips)
        for k in range(10)
    ]
    results = []
    for name, shift in (("a", 5.0), ("b", 4.0)):
        poses = shift + rng.normal(0, 0.01, len(frames))
        pairs = [PairResult(pair, {"pose": pose}) for pair, pose in zip(frames, poses.tolist(), strict=True)]
        results.append(MethodResult(name, False, pairs))
        summarise(results[-1], 0)
    assert best_methods(results, 0) == best
    assert results[0].estimates["pose"].has_interval == (clips > 1)


def test_uncertainty_from_photos_widens_the_interval_of_the_lead(rng: np.random.Generator) -> None:
    """The figures of "told from photos" depend on which photos were used."""
    key, lead = "told_whole_lite1", rng.normal(0.1, 0.1, 40)
    results = []
    for name, values in (("a", 0.8 - lead), ("b", np.full(40, 0.8))):
        one = MethodResult(name, False, [PairResult(p, {key: v}) for p, v in zip(PAIRS, values, strict=True)])
        summarise(one, 0)
        results.append(one)
    assert best_methods(results, 0, ["x"] * 4)[key] == "a"
    for one, photos in zip(results, ([0.2, 0.9, 0.8, 0.9], [0.9, 0.7, 0.9, 0.7]), strict=True):
        one.told_photos[key] = np.array(photos)
    assert key not in best_methods(results, 0, ["w", "x", "y", "z"])
