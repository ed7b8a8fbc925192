"""An executor in this process that behaves like a cluster."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Sequence
from typing import Any

from reliableswap.jobs.units import Made, Maker


class Backwards:
    """Make the units in reverse order, with pickled copies of maker and units, as if these were sent to a node.

    units: those made so far. copies: False if the maker can't be pickled.
    """

    def __init__(self, *, copies: bool = True) -> None:
        self.units: list[Any] = []
        self._copies = copies

    def __call__(self, maker: Maker[Made], units: Sequence[Any]) -> Generator[Made, None, None]:
        sent: Maker[Made] = pickle.loads(pickle.dumps(maker)) if self._copies else maker
        for unit in reversed(pickle.loads(pickle.dumps(list(units)))):
            self.units.append(unit)
            yield sent(unit)
