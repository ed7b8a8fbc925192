"""Samples from one or more folders of triplets, spread over ranks and data-loader workers."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from reliableswap.data.augment import Augmentation
from reliableswap.data.mix import Mix
from reliableswap.data.shards import shards_of, split_of_folder
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.errors import ReliableSwapError

_CHUNK = 4096  # rounds whose folders are drawn together


def held_out_percent(folders: Sequence[Path]) -> float:
    """Return the percentage of people that no folder trains on. Splits are nested, so it is the smallest share."""
    return min(split_of_folder(folder).held_out for folder in folders)


def with_validation(folders: Sequence[Path], option: str) -> list[Path]:
    """Return the folders with validation rows of people whom no folder trains on; raise, naming `option`, if none.

    Only folders with the smallest share of held-out people qualify: the others also hold out people whom these train
    on.
    """
    splits = {folder: split_of_folder(folder) for folder in folders}
    found = [f for f in folders if any(pq.read_metadata(s).num_rows for s in shards_of(f, "validation"))]
    smallest = held_out_percent(folders)
    safe = [folder for folder in found if math.isclose(splits[folder].held_out, smallest)]
    if safe:
        return safe
    listed = ", ".join(f"{folder} (split {split})" for folder, split in splits.items())
    if found:
        raise ReliableSwapError(
            f"no validation triplets of people whom no folder trains on in {listed}: only folders with {smallest:g} % "
            "of people held out could have some; make all triplets with the same --split, or turn validation off with "
            f"{option} 0"
        )
    raise ReliableSwapError(
        f"no validation triplets in {listed}: at most one person fell into the validation split; make triplets of more "
        f"people or with a larger validation share, or turn validation off with {option} 0"
    )


def launched_processes() -> int:
    """Return how many processes the launcher (torchrun, accelerate) started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class TripletFolders:
    """Maps sample i of a run to a sample of one of the folders.

    A round is one batch of every rank. All its batches come from one folder, drawn by `shares`: folders differ in the
    size of their pictures, and ranks with smaller ones would wait for the others. Every folder's samples are taken
    in order, so that each of its rows comes once per epoch of its lane, whatever the other folders' shares.
    alternate: a folder's rounds alternate between samples without and with a truth. guidance, glasses, covers: see
    TripletDataset.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        split: str,
        *,
        mix: Mix,
        batch: int,
        seed: int,
        ranks: int = 1,
        workers: int = 1,
        shares: Sequence[float] = (),
        augmentation: Augmentation | None = None,
        alternate: bool = False,
        guidance: bool = True,
        glasses: bool = True,
        covers: bool = False,
    ) -> None:
        if not folders:
            raise ReliableSwapError("--triplets names no folder; make one with `reliableswap triplets`")
        self.batch, self.ranks, self.workers = batch, ranks, workers
        self.schedule = FolderSchedule(normalised_shares(folders, shares), seed, workers)
        self.datasets = [
            TripletDataset(
                folder,
                split,
                mix=mix,
                augmentation=augmentation,
                seed=seed,
                lanes=ranks * workers,
                batch=batch,
                alternate=batch * ranks if alternate else 0,
                guidance=guidance,
                glasses=glasses,
                covers=covers,
            )
            for folder in folders
        ]

    def locate(self, i: int) -> tuple[TripletDataset, int]:
        """Return the dataset of the folder that sample i comes from, and its index there."""
        if len(self.datasets) == 1:
            return self.datasets[0], i
        block, offset = divmod(i, self.batch)
        round_, rank = divmod(block, self.ranks)
        dataset = self.datasets[self.schedule.folder(round_)]
        # A worker of the data loader makes every workers-th batch. With a lane for each worker of each rank, rounds
        # are counted worker by worker, so that every worker stays in its own lane and reads its own rows.
        period = self.workers if dataset.lanes == self.ranks * self.workers else 1
        own_round = self.schedule.earlier(round_, period) * period + round_ % period
        return dataset, (own_round * self.ranks + rank) * self.batch + offset


class FolderSchedule:
    """The folder of every round, drawn by shares (F,) from the seed, and how many earlier rounds had the same one."""

    def __init__(self, shares: np.ndarray, seed: int, workers: int) -> None:
        self.shares, self.seed, self.workers = shares, seed, workers
        self._chunk = (-1, np.zeros(0, np.int64))
        self._counts = [np.zeros((len(shares), workers), np.int64)]  # before each chunk, by folder and worker

    def folder(self, round_: int) -> int:
        """The position of the round's folder."""
        return int(self._folders(round_ // _CHUNK)[round_ % _CHUNK])

    def earlier(self, round_: int, period: int) -> int:
        """Count the earlier rounds with this round's folder: all if `period` is 1, else those of the same worker."""
        number, within = divmod(round_, _CHUNK)
        while len(self._counts) <= number:
            done = len(self._counts) - 1
            self._counts.append(self._counts[done] + self._count(done, _CHUNK))
        folder = self.folder(round_)
        counts = (self._counts[number] + self._count(number, within))[folder]
        return int(counts.sum() if period == 1 else counts[round_ % self.workers])

    def _count(self, number: int, length: int) -> np.ndarray:
        """(F,workers) rounds by folder and worker among the first `length` of a chunk."""
        workers = (number * _CHUNK + np.arange(length)) % self.workers
        both = self._folders(number)[:length] * self.workers + workers
        return np.bincount(both, minlength=len(self.shares) * self.workers).reshape(-1, self.workers)

    def _folders(self, number: int) -> np.ndarray:
        """(4096,) the folders of a chunk of rounds."""
        if self._chunk[0] != number:
            rng = np.random.default_rng([self.seed, 2, number])
            self._chunk = (number, rng.choice(len(self.shares), _CHUNK, p=self.shares))
        return self._chunk[1]


def normalised_shares(folders: Sequence[Path], shares: Sequence[float]) -> np.ndarray:
    """(F,) shares with sum 1; equal if none are given."""
    weights = np.array(shares or [1.0] * len(folders), np.float64)
    if len(weights) != len(folders) or not np.isfinite(weights).all() or weights.min(initial=1) <= 0:
        raise ReliableSwapError(
            f"--triplet_shares gives {list(map(float, shares))} for {len(folders)} folders of triplets; give one "
            "number above 0 for each"
        )
    return np.asarray(weights / weights.sum())
