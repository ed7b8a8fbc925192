"""Put the results of units into the order of the units."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

Unit = TypeVar("Unit", bound=Hashable)
Made = TypeVar("Made")


def in_order(made: Iterable[tuple[Unit, Made]], units: Iterable[Unit]) -> Iterator[Made]:
    """Yield the results of (unit, result) pairs in the order of `units`, each as early as possible."""
    waiting: dict[Unit, Made] = {}
    order = iter(units)
    next_unit = next(order, None)
    for unit, result in made:
        waiting[unit] = result
        while next_unit in waiting:
            yield waiting.pop(next_unit)
            next_unit = next(order, None)
