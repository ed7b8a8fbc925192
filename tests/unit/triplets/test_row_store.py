"""Rows of a shard, held in memory or on disk until all of them are made."""

from __future__ import annotations

import pytest

from reliableswap.triplets import row_store
from reliableswap.triplets.row_store import RowStore


@pytest.mark.parametrize("in_memory", [1, 10**6])
def test_rows_come_back_by_slot(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_store, "_IN_MEMORY", in_memory)
    with RowStore() as rows:
        for slot in (7, 2, 5):
            rows.add(slot, {"id": str(slot), "picture": bytes([slot]) * 1000})
        assert len(rows) == 3
        assert 5 in rows
        assert 3 not in rows
        assert [(row["id"], row["picture"][0]) for row in rows.rows()] == [("2", 2), ("5", 5), ("7", 7)]
        rows.add(3, {"id": "3"})
        assert [row["id"] for row in rows.rows()] == ["2", "3", "5", "7"]
