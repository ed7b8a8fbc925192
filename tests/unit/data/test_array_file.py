"""Arrays that are written row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reliableswap.data.array_file import ArrayFile
from reliableswap.errors import ReliableSwapError

KINDS = [
    np.dtype(("u1", (4, 5, 3))),
    np.dtype("<f4"),
    np.dtype([("crop", "u1", (3, 2)), ("mesh", "<f4", (7,))]),
]


@pytest.mark.parametrize("kind", KINDS, ids=["array", "number", "record"])
@pytest.mark.parametrize("count", [0, 1, 1001])
def test_the_file_is_that_of_the_whole_array(
    tmp_path: Path, kind: np.dtype, count: int, rng: np.random.Generator
) -> None:
    whole = np.zeros(count, kind)
    whole.view("u1")[...] = rng.integers(0, 100, whole.view("u1").shape)
    with ArrayFile(tmp_path / "rows.npy", kind) as rows:
        for row in whole:
            rows.append(row)
        assert len(rows) == count
    np.save(tmp_path / "whole.npy", whole)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_a_row_of_another_kind_is_refused(tmp_path: Path) -> None:
    with ArrayFile(tmp_path / "rows.npy", np.dtype(("u1", (2,)))) as rows:
        with pytest.raises(ReliableSwapError, match="make it"):
            rows.append(np.zeros(2, np.float32))
        with pytest.raises(ReliableSwapError, match="make it"):
            rows.append(np.zeros(3, np.uint8))
