"""Folders of triplets: what they say about their making."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.triplet_people import SETTINGS

from reliableswap.data.shards import read_about, shards_of, split_of_folder, write_shard
from reliableswap.data.splits import Split
from reliableswap.errors import ReliableSwapError


def test_a_folder_knows_how_its_people_were_split(made: Path) -> None:
    assert split_of_folder(made) == SETTINGS.split == Split(70, 0, 30)
    for shard in shards_of(made, "*"):
        part = read_about(shard)["split"]
        for row in pq.read_table(shard, columns=["identity_a", "identity_b"]).to_pylist():
            assert {split_of_folder(made).of(person) for person in row.values()} == {part}


def test_shards_of_a_split_are_in_order(made: Path) -> None:
    names = [path.name for path in shards_of(made, "train")]
    assert names == [f"train-{k:05d}-of-{len(names):05d}.parquet" for k in range(len(names))]
    assert shards_of(made, "validation") == []


def test_a_folder_without_triplets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="holds no triplets"):
        split_of_folder(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ReliableSwapError, match="is no shard of triplets"):
        read_about(tmp_path / "other.parquet")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [{"id": "a", "attempt": 1}, {"id": "b"}]
    for name in ("one", "other"):
        write_shard(tmp_path / name, rows, {"kept": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert read_about(tmp_path / "one") == {"kept": 2}


def test_rows_are_written_in_groups(tmp_path: Path) -> None:
    rows = [{"id": str(i), "attempt": i} for i in range(150)]
    write_shard(tmp_path / "shard", iter(rows), {"kept": 150})
    stored = pq.ParquetFile(tmp_path / "shard")
    assert [stored.metadata.row_group(k).num_rows for k in range(3)] == [64, 64, 22]
    assert stored.read(columns=["id", "attempt"]).to_pylist() == rows
    write_shard(tmp_path / "none", [], {"kept": 0})
    assert pq.read_table(tmp_path / "none").num_rows == 0
    assert read_about(tmp_path / "none") == {"kept": 0}
