"""Split pictures into those that train a probe and those that test it: nobody appears on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reliableswap.errors import ReliableSwapError

MIN_PICTURES = 16  # results, and as many photos, that it takes to train probes
_FOLDS, _REPEATS = 10, 3

PeopleOfResult = tuple[str, str]  # the source's and the target's person of a result


@dataclass(frozen=True, eq=False)
class Fold:
    """Indices of the results and photos to train and to test with."""

    train_results: np.ndarray
    train_photos: np.ndarray
    test_results: np.ndarray
    test_photos: np.ndarray


def make_folds(results: Sequence[PeopleOfResult], photos: Sequence[str], seed: int) -> list[Fold]:
    """Return the folds for these results and photos (each photo's person); raise if there are too few.

    A probe is tested on the results of some targets and on photos of some other people. Nobody in the test pictures, as
    source, target or in a photo, appears in a training picture.
    """
    rng = np.random.default_rng(seed)
    sources, targets = (np.array(side) for side in zip(*results, strict=True))
    shown = np.array(photos)
    folds = [
        fold
        for _ in range(_REPEATS)
        for chosen, pool in _rounds(sources, targets, shown, rng)
        for fold in _split(sources, targets, shown, chosen, pool, rng)
    ]
    if not folds:
        raise ReliableSwapError(
            f"--natural needs at least {MIN_PICTURES} results and photos of {MIN_PICTURES} other people; there are "
            f"{len(results)} pairs and {len(photos)} photos of {len(set(photos))} people: add photos to --faces, "
            "or give photos of the same kind with --real"
        )
    return folds


def _rounds(
    sources: np.ndarray, targets: np.ndarray, shown: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices of results, and of the photos to compare them with: photos of people who are not their targets.

    People in no pair are preferred. If there are too few, each half of the targets is compared with photos of everybody
    else.
    """
    free = np.flatnonzero(~np.isin(shown, np.concatenate([sources, targets])))
    if len(free) >= max(MIN_PICTURES, len(targets) / 2):
        yield np.arange(len(targets)), free
        return
    names = rng.permutation(np.unique(targets))
    for half in (names[::2], names[1::2]):
        yield np.flatnonzero(np.isin(targets, half)), np.flatnonzero(~np.isin(shown, half))


def _split(
    sources: np.ndarray,
    targets: np.ndarray,
    shown: np.ndarray,
    chosen: np.ndarray,
    pool: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[Fold]:
    """Split the chosen results by target, and the photos of the pool by person."""
    if min(len(chosen), len(pool)) < MIN_PICTURES // 2:
        return
    count = min(_FOLDS, len(np.unique(targets[chosen])), len(np.unique(shown[pool])))
    ones = np.array_split(rng.permutation(np.unique(targets[chosen])), count)
    others = np.array_split(rng.permutation(np.unique(shown[pool])), count)
    for tested, faces in zip(ones, others, strict=True):
        results, photos = chosen[np.isin(targets[chosen], tested)], pool[np.isin(shown[pool], faces)]
        people = np.concatenate([sources[results], targets[results], shown[photos]])
        known = np.isin(targets[chosen], people) | np.isin(sources[chosen], people)
        fold = Fold(chosen[~known], pool[~np.isin(shown[pool], people)], results, photos)
        if min(len(fold.train_results), len(fold.train_photos)) >= MIN_PICTURES // 2:
            yield fold
