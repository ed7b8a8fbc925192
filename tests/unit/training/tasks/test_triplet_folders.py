"""Several folders of triplets: every row of each comes once per epoch, whatever shares, ranks and workers there are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.generator_tasks import settings_for

from reliableswap.data.mix import Mix
from reliableswap.data.row_order import lane_pieces
from reliableswap.data.shards import read_about, shard_name, shards_of, write_shard
from reliableswap.data.splits import Split
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.batches import RankBatches
from reliableswap.training.tasks.triplet_folders import (
    FolderSchedule,
    TripletFolders,
    held_out_percent,
    with_validation,
)

VANILLA = Mix(cycle=0, naive=0, real_source=0, reconstruction=0, vanilla=1)
BATCH = 2


def folders(
    triplets: Path, ranks: int, workers: int, shares: Sequence[float] = (3, 1), count: int = 2
) -> TripletFolders:
    return TripletFolders(
        [triplets] * count,
        "train",
        mix=VANILLA,
        batch=BATCH,
        seed=0,
        ranks=ranks,
        workers=workers,
        shares=shares,
    )


def lane_of(dataset: TripletDataset, number: int) -> int:
    return number // dataset.batch % dataset.lanes


def positions(rank: int, ranks: int, steps: int) -> list[list[int]]:
    """The batches of a rank, as the trainer asks for them."""
    return list(RankBatches(0, steps, BATCH, rank, ranks))


@pytest.mark.parametrize(("ranks", "workers"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3), (3, 4)])
def test_every_row_comes_once_per_epoch_of_its_lane(triplets: Path, ranks: int, workers: int) -> None:
    both = folders(triplets, ranks, workers)
    asked: dict[tuple[int, int], list[tuple[int, tuple[int, int]]]] = defaultdict(list)
    for rank in range(ranks):
        for batch in positions(rank, ranks, 150):
            for i in batch:
                dataset, number = both.locate(i)
                folder = both.datasets.index(dataset)
                asked[folder, lane_of(dataset, number)].append((number, dataset.place(number)))
    assert len({folder for folder, _ in asked}) == 2
    for (folder, lane), found in asked.items():
        rows = [place for _, place in sorted(found)]
        counts, lanes = both.datasets[folder].counts, both.datasets[folder].lanes
        size = sum(len(piece.rows) for piece in lane_pieces(counts, lanes)[lane])
        assert len({number for number, _ in found}) == len(found), "a sample came twice"
        assert len(rows) > 2 * size, f"too few samples of lane {lane} to tell"
        for start in range(0, len(rows) - size + 1, size):
            assert len(set(rows[start : start + size])) == size


def test_with_one_lane_all_rows_of_a_folder_have_come_equally_often(triplets: Path) -> None:
    many = folders(triplets, 1, 1, (5, 2, 1), count=3)
    counts: list[Counter[tuple[int, int]]] = [Counter() for _ in many.datasets]
    for i in range(600):
        dataset, number = many.locate(i)
        rows = counts[many.datasets.index(dataset)]
        rows[dataset.place(number)] += 1
        least = min(rows.values()) if len(rows) == sum(dataset.counts) else 0
        assert max(rows.values()) - least <= 1
    assert all(counts)


@pytest.mark.parametrize(("ranks", "workers"), [(1, 2), (2, 1), (1, 3)])
def test_a_worker_reads_one_lane_of_each_folder(triplets: Path, ranks: int, workers: int) -> None:
    both = folders(triplets, ranks, workers)
    assert all(one.lanes == ranks * workers for one in both.datasets)
    lanes: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for rank in range(ranks):
        for batch_number, batch in enumerate(positions(rank, ranks, 60)):
            for i in batch:
                dataset, number = both.locate(i)
                lanes[id(dataset), rank, batch_number % workers].add(lane_of(dataset, number))
    assert all(len(found) == 1 for found in lanes.values())
    assert {lane for found in lanes.values() for lane in found} == set(range(ranks * workers))


def test_one_folder_is_read_as_it_is(triplets: Path) -> None:
    one = folders(triplets, 3, 2, (), count=1)
    assert [one.locate(i) for i in (0, 7, 10**9)] == [(one.datasets[0], i) for i in (0, 7, 10**9)]


def test_all_ranks_take_a_round_from_one_folder_as_often_as_asked(triplets: Path) -> None:
    ranks = 3
    both = folders(triplets, ranks, 1)
    turns = np.array([[both.locate(i)[0] is both.datasets[0] for i in range(k, k + ranks * BATCH)]
                      for k in range(0, 200 * ranks * BATCH, ranks * BATCH)])  # fmt: skip
    assert (turns == turns[:, :1]).all()
    assert 0.65 < turns[:, 0].mean() < 0.85


def test_any_round_can_be_asked_for_first() -> None:
    shares = np.array([0.5, 0.3, 0.2])
    in_order, out_of_order = FolderSchedule(shares, 1, 3), FolderSchedule(shares, 1, 3)
    rounds = range(9000)
    folder = np.array([in_order.folder(r) for r in rounds])
    for round_ in (8999, 5, 4096, 4095, 8191, 0):
        assert out_of_order.folder(round_) == folder[round_]
        same = folder[:round_] == folder[round_]
        assert out_of_order.earlier(round_, 1) == same.sum()
        assert out_of_order.earlier(round_, 3) == same[round_ % 3 :: 3].sum()


@pytest.mark.parametrize("shares", ["1", "1,-1", "1,0", "nan,1", "inf,1", "much,1"])
def test_shares_that_do_not_fit_are_an_error(triplets: Path, shares: str) -> None:
    with pytest.raises(ReliableSwapError, match="--triplet_shares"):
        folders(triplets, 1, 1, settings_for(triplets, triplet_shares=shares).shares)


def test_no_folder_is_an_error() -> None:
    with pytest.raises(ReliableSwapError, match="--triplets names no folder"):
        folders(Path(), 1, 1, (), count=0)


def test_people_held_out_are_those_outside_every_training_split(triplets: Path, tmp_path: Path) -> None:
    assert held_out_percent([triplets, triplets]) == 40
    with pytest.raises(ReliableSwapError, match="holds no triplets"):
        held_out_percent([triplets, tmp_path])


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("ranks", [1, 2])
def test_every_row_comes_with_and_without_a_truth(
    triplets: Path, ranks: int, workers: int, count: int
) -> None:
    mix = Mix(cycle=1, naive=0, real_source=0, reconstruction=0, vanilla=1)
    both = TripletFolders(
        [triplets] * count, "train", mix=mix, batch=1, seed=0, ranks=ranks, workers=workers, alternate=True
    )
    seen: dict[int, dict[tuple[int, int], set[bool]]] = defaultdict(lambda: defaultdict(set))
    rounds: dict[int, set[bool]] = defaultdict(set)
    for i in range(500):
        dataset, number = both.locate(i)
        has_truth = dataset.sample(number, np.random.default_rng(i)).truth is not None
        seen[both.datasets.index(dataset)][dataset.place(number)].add(has_truth)
        rounds[i // ranks].add(has_truth)
    assert all(len(found) == 1 for found in rounds.values()), "ranks took different kinds in one round"
    for folder, rows in seen.items():
        assert len(rows) == sum(both.datasets[folder].counts)
        assert all(found == {True, False} for found in rows.values())


def with_split(
    triplets: Path, place: Path, split: Split, splits: Sequence[str] = ("train", "validation")
) -> Path:
    """The triplets as a folder made with another split holds them."""
    (place / "data").mkdir(parents=True)
    rows = [row for path in shards_of(triplets, "*") for row in pq.read_table(path).to_pylist()]
    about = read_about(shards_of(triplets, "*")[0])
    about["settings"]["split"] = [split.train, split.validation, split.test]
    for name in splits:
        own = [row for row in rows if {split.of(row[f"identity_{side}"]) for side in "ab"} == {name}]
        write_shard(place / "data" / shard_name(name, 0, 1), own, about)
    return place


def people_of(folder: Path, split: str) -> set[str]:
    table = [pq.read_table(path, columns=["identity_a", "identity_b"]) for path in shards_of(folder, split)]
    return {name for part in table for column in part.columns for name in column.to_pylist()}


@pytest.mark.parametrize("first", [0, 1])
def test_whom_any_folder_trains_on_validates_nothing(triplets: Path, tmp_path: Path, first: int) -> None:
    """More people are held out in one folder than in the other, which trains on some of them."""
    many = with_split(triplets, tmp_path / "many", Split(20, 80, 0))
    both = [triplets, many] if first == 0 else [many, triplets]
    assert people_of(many, "validation") & people_of(triplets, "train")
    found = with_validation(both, "--validation_pairs")
    assert found == [triplets]
    assert not people_of(triplets, "validation") & {name for one in both for name in people_of(one, "train")}


def test_no_row_of_people_whom_no_folder_trains_on_is_an_error(triplets: Path, tmp_path: Path) -> None:
    bare = with_split(triplets, tmp_path / "bare", Split(90, 10, 0), splits=["train"])
    with pytest.raises(
        ReliableSwapError, match=r"whom no folder trains on in .*bare \(split 90/10/0\).*--x 0"
    ):
        with_validation([triplets, bare], "--x")
