"""Explain which splits a run leaves empty, why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path

from reliableswap.data.splits import Split


def empty_splits(
    usable: Callable[[], Collection[str]],
    split: Split,
    slots: Mapping[str, int],
    rows: Mapping[str, int],
    cache: Path,
) -> str | None:
    """Explain which of the requested splits have no rows; None if all have some.

    usable: returns the names of people with usable photos; slots: pairs to make by split; rows: pairs kept by split;
    cache: folder of the photos' records.
    """
    empty = [name for name, share in asdict(split).items() if share > 0 and not rows.get(name)]
    if not empty:
        return None
    people = usable()
    parts = Counter(map(split.of, people))
    reasons, advice = [], []
    for name in empty:
        if parts[name] < 2:
            who = "1 person" if parts[name] else "nobody"
            reasons.append(f"{name}: {who} of {len(people)} fell into it, and a pair needs two people")
            better = _better_split(people, split)
            advice.append(f"--split {better}" if better else "photos of more people")
        elif not slots.get(name):
            reasons.append(f"{name}: its share of the pairs is less than one")
            advice.append("a larger --pairs")
        else:
            reasons.append(f"{name}: the filter dropped all of its pairs")
            advice.append("looser filter limits")
    without = "; or train without validation (--validation_pairs 0)" if "validation" in empty else ""
    return (
        f"no triplets in {'; '.join(reasons)} (--split {split}). To get some, make triplets in another output folder, "
        f"with {' and '.join(dict.fromkeys(advice))} (--cache {cache} reuses the analysed photos){without}"
    )


def _better_split(people: Collection[str], split: Split) -> Split | None:
    """Return the split with the smallest held-out share that puts at least two people into every part, or None.

    It has no test part if none was asked for or there are too few people for three parts.
    """
    three = [Split(100 - 2 * share, share, share) for share in (5, 10, 15, 20, 25, 30)]
    two = [Split(100 - share, share, 0) for share in (10, 20, 30, 40, 50)]
    for better in [*(three if split.test else []), *two]:
        parts = Counter(map(better.of, people))
        if all(parts[name] > 1 for name, share in asdict(better).items() if share > 0):
            return better
    return None
