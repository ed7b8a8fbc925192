"""RowOrder: whatever the sizes of shards, all rows come equally often, and lanes read different rows of few shards."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from reliableswap.data.row_order import RowOrder, lane_pieces
from reliableswap.errors import ReliableSwapError

UNEQUAL = [([250] * 8 + [10], 8), ([250] * 3 + [10], 4), ([60] * 12, 8), ([0, 40, 0, 3, 40], 4), ([100], 8)]


@pytest.mark.parametrize(("counts", "lanes"), UNEQUAL)
def test_rows_come_equally_often_from_shards_of_any_size(counts: list[int], lanes: int) -> None:
    order = RowOrder(counts, 0, lanes, batch=4)
    visits = Counter(order.place(i) for i in range(10 * sum(counts)))
    assert len(visits) == sum(counts)
    assert 9 <= min(visits.values()) <= max(visits.values()) <= 11


@pytest.mark.parametrize(("counts", "lanes"), UNEQUAL)
def test_lanes_are_equally_long_and_have_each_row_once(counts: list[int], lanes: int) -> None:
    pieces = lane_pieces(counts, lanes)
    rows = [(piece.shard, row) for own in pieces for piece in own for row in piece.rows]
    assert sorted(rows) == [(shard, row) for shard, count in enumerate(counts) for row in range(count)]
    lengths = [sum(len(piece.rows) for piece in own) for own in pieces]
    assert max(lengths) - min(lengths) <= 1


def test_lanes_of_equal_shards_share_none() -> None:
    shards = [[piece.shard for piece in own] for own in lane_pieces([20] * 8, 4)]
    assert shards == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_the_order_follows_from_the_seed_and_is_the_same_in_another_process() -> None:
    order = RowOrder([30, 7, 30], 1, lanes=4, batch=2)
    places = [order.place(i) for i in range(300)]
    other = pickle.loads(pickle.dumps(order))
    assert [other.place(i) for i in reversed(range(300))] == places[::-1]
    assert [RowOrder([30, 7, 30], 2, lanes=4, batch=2).place(i) for i in range(300)] != places


def test_more_lanes_than_rows_are_an_error() -> None:
    with pytest.raises(ReliableSwapError, match="3 rows can't be shared"):
        RowOrder([2, 1], 0, lanes=4)
