"""Items measured in this process and by an executor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.executors import Backwards

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.shots import Shot
from reliableswap.evaluation.work import ChunkMaker, DistributedWork, Instruments, LocalWork, cut


def instruments(factor: int) -> Instruments:
    return Instruments(SimpleNamespace(factor=factor), ())  # type: ignore[arg-type]


def times(tools: Any, item: int) -> int:
    """A task that multiplies an item by the tools' factor."""
    return int(tools.examiner.factor * item)


def test_an_executor_finds_the_same_in_the_same_order(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.touch()
    executor = Backwards()
    spread = DistributedWork(executor, ChunkMaker(partial(instruments, 3), (tmp_path,)))

    def shots(item: int) -> list[Shot]:
        return [Shot(photo, "somebody"), Shot(tmp_path / f"{item}.jpg", "nobody")]

    assert list(spread(times, range(20), shots)) == list(LocalWork(instruments(3))(times, range(20), shots))
    assert [len(unit.items) for unit in executor.units] == [4, 8, 8]
    assert {unit.paths for unit in executor.units} == {
        (photo,)
    }  # nodes are not asked for files that the caller lacks


def test_frames_of_a_clip_stay_together() -> None:
    names = ["a"] * 3 + ["clip"] * 12 + ["b", "c"]
    chunks = cut(list(enumerate(names)), lambda item: item[1])
    assert [[name for _, name in chunk] for chunk in chunks] == [["a"] * 3 + ["clip"] * 12, ["b", "c"]]


def test_a_node_without_the_photos_says_so(tmp_path: Path) -> None:
    maker = ChunkMaker(partial(instruments, 1), (tmp_path / "photos",))
    spread = DistributedWork(Backwards(), maker)
    with pytest.raises(ReliableSwapError, match=r"does not see .*photos.* every node"):
        list(spread(times, [1], lambda _: [Shot(tmp_path, "somebody")]))
