"""Draw random pairs of different people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from reliableswap.errors import ReliableSwapError

from .shots import Pair, Shot, pair_name

People = Mapping[str, Sequence[Path]]  # person -> photos


def draw_pairs(
    people: People, root: Path, count: int, seed: int, sources_from: Sequence[str] = ()
) -> list[Pair]:
    """Draw `count` pairs; everybody is a target (and a source) once before anybody is twice.

    sources_from: the people to draw sources from; default: everybody.
    """
    names = sorted(people)
    if len(names) < 2:
        raise ReliableSwapError(
            f"{root} shows {'only one person' if names else 'nobody'}; a pair needs at least two people"
        )
    most = len(names) * (len(names) - 1)
    if count > most and all(len(photos) == 1 for photos in people.values()):
        raise ReliableSwapError(
            f"{len(names)} photos give at most {most} pairs, not {count}; give --pairs {most} or less"
        )
    rng = np.random.default_rng(seed)
    sources, targets = _rounds(sorted(sources_from) or names, rng), _rounds(names, rng)
    pairs: dict[str, Pair] = {}
    waiting: list[str] = []  # sources that were drawn while they were the target
    repeats = 0
    while len(pairs) < count:
        target = next(targets)
        source = _next_source(sources, waiting, target)
        pair = _pair(people, source, target, root, rng)
        repeats = repeats + 1 if pair.name in pairs else 0
        if repeats > 100 * len(names):
            raise ReliableSwapError(
                f"{root} gives fewer than {count} different pairs; give a smaller --pairs"
            )
        pairs.setdefault(pair.name, pair)
    return list(pairs.values())


def draw_unused(people: People, pairs: Sequence[Pair], seed: int) -> list[Shot]:
    """Draw photos that no pair uses as source or target, at most as many as there are pairs; people take turns."""
    taken = {shot.path for pair in pairs for shot in (pair.source, pair.target)}
    rng = np.random.default_rng(seed)
    left = {
        name: [photos[i] for i in rng.permutation(len(photos)) if photos[i] not in taken]
        for name, photos in sorted(people.items())
    }
    found: list[Shot] = []
    while left := {name: photos for name, photos in left.items() if photos}:
        names = list(left)
        found += [Shot(left[names[i]].pop(), names[i]) for i in rng.permutation(len(names))]
        if len(found) >= len(pairs):
            break
    return found[: len(pairs)]


def _rounds(names: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield the names for ever, each round in a new random order."""
    while True:
        for index in rng.permutation(len(names)):
            yield names[index]


def _next_source(sources: Iterator[str], waiting: list[str], target: str) -> str:
    """Return the next source who is not the target; keep skipped ones for the next pair."""
    fit = next((i for i, name in enumerate(waiting) if name != target), None)
    source = waiting.pop(fit) if fit is not None else next(sources)
    while source == target:
        waiting.append(source)
        source = next(sources)
    return source


def _pair(people: People, source: str, target: str, root: Path, rng: np.random.Generator) -> Pair:
    photos = [people[source][i] for i in rng.permutation(len(people[source]))]
    one = Shot(photos[0], source)
    other = Shot(people[target][int(rng.integers(len(people[target])))], target)
    reference = Shot(photos[1], source) if len(photos) > 1 else None
    return Pair(pair_name(one, other, root), one, other, reference)
