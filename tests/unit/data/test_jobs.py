"""Units of work on several ranks."""

from __future__ import annotations

import threading

import pytest

from reliableswap.data.jobs import Crew, Place, make_all
from reliableswap.errors import ReliableSwapError


class Ticks:
    """A maker that notes what it made."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, unit: int) -> int:
        self.made.append(unit)
        return unit


def test_a_rank_makes_its_own_units_unless_they_are_done() -> None:
    maker = Ticks()
    crew: Crew[int] = Crew(Place(1, 2), 1)
    assert list(crew.make_own(maker, range(8), {3}.__contains__)) == [1, 5, 7]


def test_a_rank_waits_for_the_others() -> None:
    maker, other = Ticks(), Ticks()
    crew: Crew[int] = Crew(Place(0, 2), 1, patience=60, look_every=0.01)
    threading.Timer(0.1, lambda: [other(unit) for unit in (1, 3, 5)]).start()
    assert list(crew.wait_for_others(maker, range(6), lambda unit: unit in [0, 2, 4, *other.made])) == []
    assert other.made == [1, 3, 5]


def test_the_units_of_a_rank_that_died_are_made_by_another() -> None:
    maker = Ticks()
    crew: Crew[int] = Crew(Place(1, 2), 1, patience=0.05, look_every=0.01)
    made = list(crew.wait_for_others(maker, range(6), lambda unit: unit % 2 == 1 or unit in maker.made))
    assert sorted(made) == [0, 2, 4]


@pytest.mark.slow
def test_all_units_are_made_whatever_the_number_of_processes() -> None:
    assert sorted(make_all(abs, [-1, 2, -3], workers=1)) == [1, 2, 3]
    assert sorted(make_all(abs, [-1, 2, -3], workers=2)) == [1, 2, 3]
    with pytest.raises(ReliableSwapError, match="workers is 0"):
        list(make_all(abs, [1], workers=0))


def test_the_place_comes_from_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Place.from_environment() == Place(0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Place.from_environment() == Place(3, 8)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReliableSwapError, match="RANK is 3 of WORLD_SIZE 2"):
        Place.from_environment()
