"""Shards of triplets: their metadata, order, bytes and memory use."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.triplet_people import SETTINGS

from reliableswap.data.shards import (
    PICTURES,
    picture_cell,
    read_about,
    shards_of,
    split_of_folder,
    write_shard,
)
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
    with pytest.raises(ReliableSwapError, match="is not a triplet shard"):
        read_about(tmp_path / "other.parquet")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [{"id": "a", "attempt": 1}, {"id": "b"}]
    for name in ("one", "other"):
        write_shard(tmp_path / name, rows, {"kept": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert read_about(tmp_path / "one") == {"kept": 2}


def test_fixed_size_lists_contain_no_nulls(tmp_path: Path) -> None:
    """PyArrow before version 26 can't read fixed-size lists that contain nulls."""
    write_shard(tmp_path / "a.parquet", [{"id": "one"}, {"id": "two", "mesh_a": [1] * 1404}], {})
    table = pq.read_table(tmp_path / "a.parquet")
    fixed = [
        name for name in table.column_names if pa.types.is_fixed_size_list(table.schema.field(name).type)
    ]
    assert "mesh_other_b" in fixed
    assert {name: table[name].null_count for name in fixed} == dict.fromkeys(fixed, 0)
    assert sum(table["mesh_a"][1].as_py()) == 1404


def test_rows_are_written_in_groups(tmp_path: Path) -> None:
    rows = [{"id": str(i), "attempt": i} for i in range(150)]
    write_shard(tmp_path / "shard", iter(rows), {"kept": 150})
    stored = pq.ParquetFile(tmp_path / "shard")
    assert [stored.metadata.row_group(k).num_rows for k in range(3)] == [64, 64, 22]
    assert stored.read(columns=["id", "attempt"]).to_pylist() == rows
    write_shard(tmp_path / "none", [], {"kept": 0})
    assert pq.read_table(tmp_path / "none").num_rows == 0
    assert read_about(tmp_path / "none") == {"kept": 0}


class Row(dict[str, Any]):
    """A dict that supports weak references."""


def test_only_one_row_group_of_a_shard_is_in_memory(tmp_path: Path) -> None:
    """Rows of 4 MiB, as for 512 px pictures in PNG: only one row group is in memory at a time."""
    rng, mebi = np.random.default_rng(0), 2**20
    made: list[weakref.ref[Row]] = []
    most, before = [0, 0], pa.total_allocated_bytes()

    def rows() -> Iterator[Row]:
        for number in range(20):
            cells = {name: picture_cell(rng.bytes(mebi // 2), name, "png") for name in PICTURES}
            row = Row(id=str(number), **cells)
            made.append(weakref.ref(row))
            alive = sum(one() is not None for one in made)
            most[:] = max(most[0], alive), max(most[1], pa.total_allocated_bytes() - before)
            yield row
            del row, cells

    write_shard(tmp_path / "shard", rows(), {"kept": 20})
    stored = pq.ParquetFile(tmp_path / "shard").metadata
    assert [stored.row_group(k).num_rows for k in range(stored.num_row_groups)] == [4] * 5
    assert most[0] <= 5
    assert most[1] < 20 * mebi
