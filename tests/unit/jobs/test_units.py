"""Units of work on several ranks."""

from __future__ import annotations

import os
import threading
import time

import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.units import Crew, Rank, make_all


class Ticks:
    """A maker that notes what it made."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, unit: int) -> int:
        self.made.append(unit)
        return unit


def test_a_rank_makes_its_own_units_unless_they_are_done() -> None:
    maker = Ticks()
    crew: Crew[int] = Crew(Rank(1, 2), 1)
    assert list(crew.make_own(maker, range(8), {3}.__contains__)) == [1, 5, 7]


def test_a_rank_waits_for_the_others() -> None:
    maker, other = Ticks(), Ticks()
    crew: Crew[int] = Crew(Rank(0, 2), 1, patience=60, poll_seconds=0.01)
    threading.Timer(0.1, lambda: [other(unit) for unit in (1, 3, 5)]).start()
    assert list(crew.wait_for_others(maker, range(6), lambda unit: unit in [0, 2, 4, *other.made])) == []
    assert other.made == [1, 3, 5]


def test_the_units_of_a_rank_that_died_are_made_by_another() -> None:
    maker = Ticks()
    crew: Crew[int] = Crew(Rank(1, 2), 1, patience=0.05, poll_seconds=0.01)
    made = list(crew.wait_for_others(maker, range(6), lambda unit: unit % 2 == 1 or unit in maker.made))
    assert sorted(made) == [0, 2, 4]


@pytest.mark.slow
def test_all_units_are_made_whatever_the_number_of_processes() -> None:
    assert sorted(make_all(abs, [-1, 2, -3], workers=1)) == [1, 2, 3]
    assert sorted(make_all(abs, [-1, 2, -3], workers=2)) == [1, 2, 3]
    with pytest.raises(ReliableSwapError, match="workers is 0"):
        list(make_all(abs, [1], workers=0))


def ended(unit: int) -> int:
    if unit == 1:
        os._exit(3)  # as the system ends a process that takes too much memory
    return unit


@pytest.mark.slow
def test_a_worker_that_died_ends_the_work() -> None:
    with pytest.raises(ReliableSwapError, match=r"ended early \(exit code 3\)"):
        list(make_all(ended, range(4), workers=2))


def test_rank_and_world_size_come_from_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Rank.from_environment() == Rank(0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Rank.from_environment() == Rank(3, 8)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ReliableSwapError, match="RANK is 3, but WORLD_SIZE is 2"):
        Rank.from_environment()


def test_a_shared_result_is_made_by_rank_0() -> None:
    made: list[int] = []
    ranks: list[Crew[int]] = [Crew(Rank(rank, 2), 1, patience=5, poll_seconds=0.01) for rank in range(2)]
    threading.Timer(0.05, lambda: ranks[0].once(lambda: made.append(0), lambda: bool(made))).start()
    ranks[1].once(lambda: made.append(1), lambda: bool(made))
    assert made == [0]
    ranks[0].once(lambda: made.append(0), lambda: bool(made))
    assert made == [0]


def test_a_shared_result_is_made_by_another_rank_if_rank_0_is_silent() -> None:
    made: list[int] = []
    crew: Crew[int] = Crew(Rank(1, 2), 1, patience=0.001, poll_seconds=0.001)
    crew.once(lambda: made.append(1), lambda: False)
    assert made == [1]


class Slow(Ticks):
    def __call__(self, unit: int) -> int:
        time.sleep(0.1)
        return super().__call__(unit)


def test_a_rank_waits_as_long_as_its_own_units_took() -> None:
    maker, other = Slow(), Ticks()
    crew: Crew[int] = Crew(Rank(0, 2), 1, patience=0.001, poll_seconds=0.01)
    assert list(crew.make_own(maker, range(4), lambda _: False)) == [0, 2]
    threading.Timer(0.15, lambda: [other(unit) for unit in (1, 3)]).start()
    assert list(crew.wait_for_others(maker, range(4), lambda unit: unit in maker.made + other.made)) == []
    assert maker.made == [0, 2]


def test_a_single_process_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder listing may not show yet what was just made."""
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited"))
    maker = Ticks()
    crew: Crew[int] = Crew(Rank(), 1)
    assert list(crew.make_own(maker, range(2), lambda _: False)) == [0, 1]
    assert list(crew.wait_for_others(maker, range(2), lambda _: False)) == []
