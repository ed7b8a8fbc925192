"""Pair lists as TSV files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.pair_list import write_pairs
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.shots import Pair


def test_a_pair_list_survives_being_written_and_read(portraits: Path, tmp_path: Path) -> None:
    pairs = make_pairs("identity-folders", portraits, 6, 0)
    table = portraits / "list.tsv"
    write_pairs(pairs, table)
    assert make_pairs("pairs", table, 100) == [Pair(p.name, p.source, p.target, p.reference) for p in pairs]
    table.unlink()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("source\tgoal\nx\ty\n", "header must name source and target"),
        ("source\ttarget\n", "lists no pairs"),
        ("source\ttarget\nnobody.png\tnobody.png\n", "line 2: there is no source"),
        ("source\ttarget\nx.png\t\n", "line 2 has no source or no target"),
        ("source\ttarget\tname\nx.png\tx.png\ta\nx.png\tx.png\ta\n", "two pairs are called a"),
    ],
)
def test_a_broken_pair_list_is_reported_by_line(text: str, says: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(ReliableSwapError, match=says):
        make_pairs("pairs", tmp_path)
