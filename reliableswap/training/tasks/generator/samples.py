"""The generator's training samples: triplets from one folder or several, made harder now and then.

Guidance is spoiled, and targets get glasses painted on: few photos have some, and what they hide of a person, the rest
of the made face has to make up for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.triplet_dataset import Mix, TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.painted_glasses import paint

from .spoiling import Spoiling, spoil

# What --supervision means as a mix. The reconstruction keeps a face that is given its own identity as it is, and the
# pairs without truth keep the test's case in sight: a real target and a real source of somebody else.
SUPERVISION = {
    "vanilla": Mix(cycle=0, naive=0, real_source=0, reconstruction=0.25, vanilla=0.75),
    "naive": Mix(cycle=0, naive=0.6, real_source=0, reconstruction=0.1, vanilla=0.3),
    "cycle": Mix(cycle=0.6, naive=0, real_source=0, reconstruction=0.1, vanilla=0.3),
    "real_source": Mix(cycle=0.2, naive=0, real_source=0.4, reconstruction=0.1, vanilla=0.3),
}


class GeneratorSamples(Dataset[dict[str, Tensor]]):
    """Sample i as TripletDataset gives it, and `plain` (3,S,S), the target without what was painted on it.

    The batches of all ranks at one time come from one folder: folders differ in the size of their pictures, and ranks
    with smaller ones would only wait. shares: how often each folder's come. painted: how often a target gets glasses,
    where there is no truth that would be without them.
    """

    def __init__(
        self,
        folders: list[Path],
        mix: Mix,
        batch: int,
        lanes: int,
        seed: int,
        spoiling: Spoiling | None,
        shares: Sequence[float] = (),
        ranks: int = 1,
        painted: float = 0.0,
    ) -> None:
        if not 0 <= painted <= 1:
            raise ReliableSwapError(f"--painted_glasses is {painted}; choose a share from 0 to 1")
        self.turn_length, self.seed = batch * ranks, seed
        self.spoiling = spoiling or Spoiling(0, 0, 0, 0, 0, 0)
        self.painted = painted
        self.shares = _shares(folders, shares)
        self.triplets = []
        for folder in folders:
            shards = len(list((folder / "data").glob("train-*.parquet")))
            self.triplets.append(
                TripletDataset(
                    folder, "train", mix=mix, seed=seed, lanes=max(1, min(lanes, shards)), batch=batch
                )
            )
        if not self.triplets:
            raise ReliableSwapError("--triplets names no folder; make one with `reliableswap triplets`")

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        turn = np.random.default_rng([self.seed, 2, i // self.turn_length])
        sample = self.triplets[int(turn.choice(len(self.triplets), p=self.shares))][i]
        rng = np.random.default_rng([self.seed, 3, i])
        kind = self.spoiling.draw(rng)
        if kind:
            sample["guidance"] = torch.from_numpy(spoil(sample["guidance"].numpy(), kind, rng))
        sample["plain"] = sample["target"]
        if rng.random() < self.painted and not sample["has_truth"] and not sample["glasses"][3].any():
            sample.update(with_glasses(sample["target"], sample["mesh"], rng))
        return sample


def with_glasses(target: Tensor, mesh: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """The target (3,S,S) with glasses painted on, and these as the dataset's (4,S,S)."""
    picture = target.add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
    painted, worn = paint(picture, mesh.numpy().astype(np.float64), rng)
    shown = torch.from_numpy(painted).permute(2, 0, 1).float().div(127.5).sub(1)
    return {"target": shown, "glasses": torch.cat([shown, torch.from_numpy(worn)[None]])}


def _shares(folders: Sequence[Path], shares: Sequence[float]) -> np.ndarray:
    """(folders,) with sum 1; all alike where none are given."""
    weights = np.array(shares or [1.0] * len(folders), np.float64)
    if len(weights) != len(folders) or not np.isfinite(weights).all() or weights.min(initial=1) <= 0:
        raise ReliableSwapError(
            f"--triplet_shares gives {list(map(float, shares))} for {len(folders)} folders of triplets; give one "
            "number above 0 for each"
        )
    return np.asarray(weights / max(weights.sum(), 1e-300))
