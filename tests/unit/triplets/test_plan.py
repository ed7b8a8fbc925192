"""The shards of a run."""

from __future__ import annotations

from reliableswap.triplets.plan import list_shards


def test_the_plan_covers_every_slot_once() -> None:
    shards = list_shards({"train": 10, "test": 3}, 4)
    assert [(s.name, s.start, s.stop) for s in shards] == [
        ("train-00000-of-00003.parquet", 0, 4),
        ("train-00001-of-00003.parquet", 4, 8),
        ("train-00002-of-00003.parquet", 8, 10),
        ("test-00000-of-00001.parquet", 0, 3),
    ]
