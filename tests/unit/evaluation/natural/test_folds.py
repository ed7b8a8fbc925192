"""Folds: no probe is tested on people that it was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.natural.folds import PeopleOfResult, make_folds


def pairs_of(count: int, people: int, seed: int = 0) -> list[PeopleOfResult]:
    rng = np.random.default_rng(seed)
    return [(str(a), str(b)) for a, b in (rng.permutation(people)[:2] for _ in range(count))]


WITH_OTHERS = (pairs_of(60, 40), [str(number) for number in range(120) for _ in range(2)])
EVERYBODY_A_TARGET = (pairs_of(300, 40), [str(number) for number in range(40) for _ in range(2)])


@pytest.mark.parametrize(("results", "photos"), [WITH_OTHERS, EVERYBODY_A_TARGET])
def test_nobody_is_on_both_sides(results: list[PeopleOfResult], photos: list[str]) -> None:
    def people(which: np.ndarray, shown: np.ndarray) -> set[str]:
        return {person for n in which for person in results[n]} | {photos[n] for n in shown}

    folds = make_folds(results, photos, 0)
    for fold in folds:
        train = people(fold.train_results, fold.train_photos)
        assert train.isdisjoint(people(fold.test_results, fold.test_photos))
        assert {photos[n] for n in fold.test_photos}.isdisjoint(results[n][1] for n in fold.test_results)
        assert len(fold.train_results) >= 8
    tested = np.concatenate([fold.test_results for fold in folds])
    assert set(tested) == set(range(len(results)))
    assert np.ptp(np.bincount(tested)) == 0  # every result is tested equally often


def test_photos_of_people_in_no_pair_are_preferred() -> None:
    results, photos = WITH_OTHERS
    shown = {person for cast in results for person in cast}
    for fold in make_folds(results, photos, 0):
        assert shown.isdisjoint(photos[n] for n in [*fold.train_photos, *fold.test_photos])


def test_the_seed_decides() -> None:
    one, same, other = (make_folds(*WITH_OTHERS, seed) for seed in (0, 0, 1))
    tests = [[fold.test_results.tolist() for fold in folds] for folds in (one, same, other)]
    assert tests[0] == tests[1] != tests[2]


@pytest.mark.parametrize(
    ("results", "photos"),
    [(pairs_of(4, 40), ["x", "y"] * 40), (pairs_of(60, 3), ["0", "1", "2"] * 20), (pairs_of(60, 40), ["z"])],
)
def test_too_few_results_or_photos_are_reported(results: list[PeopleOfResult], photos: list[str]) -> None:
    with pytest.raises(ReliableSwapError, match="--natural needs at least 16 results and photos of 16 other"):
        make_folds(results, photos, 0)
