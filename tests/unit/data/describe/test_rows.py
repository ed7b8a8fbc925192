"""Shards of described faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.described import write_described

from reliableswap.data.describe.rows import read_rows
from reliableswap.errors import ReliableSwapError


def test_rows_come_back(tmp_path: Path) -> None:
    faces = read_rows(write_described(tmp_path), "train")
    assert len(faces) == 24
    assert faces.crop(0).shape == (128, 128, 3)
    assert np.allclose(np.linalg.norm(faces.v_id, axis=1), 1, atol=1e-5)
    assert set(faces.attributes[0]) == {"gender", "glasses", "pose", "smile"}
    assert {one["attribute"] for one in faces.questions[0]} == set(faces.attributes[0])
    assert len(faces.captions[0]) == 4


def test_the_same_rows_have_the_same_key(tmp_path: Path) -> None:
    one, other, more = (
        write_described(tmp_path / name, train=n) for name, n in (("a", 5), ("b", 5), ("c", 6))
    )
    assert (one / "data" / "train-00000-of-00001.parquet").read_bytes() == (
        other / "data" / "train-00000-of-00001.parquet"
    ).read_bytes()
    keys = [read_rows(folder, "train").key for folder in (one, other, more)]
    assert keys[0] == keys[1] != keys[2]


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="no described faces of split test"):
        read_rows(write_described(tmp_path, 2, 2), "test")
