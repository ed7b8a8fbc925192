"""Which samples come at a step."""

from __future__ import annotations

from reliableswap.training.core.batches import Positions


def taken(first: int, rank: int, ranks: int, pieces: int = 1) -> list[list[int]]:
    return list(Positions(first, 3, 2, rank, ranks, pieces))


def test_ranks_share_the_samples_of_a_step() -> None:
    together = [sorted(a + b) for a, b in zip(taken(0, 0, 2), taken(0, 1, 2), strict=True)]
    assert together == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_later_start_neither_skips_nor_repeats_any() -> None:
    assert taken(2, 1, 2) == taken(0, 1, 2)[2:]
    assert taken(2, 0, 1, pieces=3) == taken(0, 0, 1, pieces=3)[6:]


def test_their_number_is_known() -> None:
    assert len(Positions(1, 3, 2, 0, 1, 4)) == len(taken(1, 0, 1, 4)) == 8
