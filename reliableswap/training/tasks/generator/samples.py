"""The generator's training samples: triplets with augmented guidance and targets.

Guidance is corrupted at random. Glasses are painted on some targets: few photos have any, and the generator has to
express the identity in what they leave visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.augment import Augmentation
from reliableswap.data.mix import Mix
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.training.tasks.triplet_folders import TripletFolders

from .corruption import CorruptionRates, corrupt_guidance

# The mix that --supervision names. Reconstruction teaches to keep a face that is given its own identity; samples
# without truth are the use case itself: a real target and another person's real source.
SUPERVISION = {
    "vanilla": Mix(cycle=0, naive=0, real_source=0, reconstruction=0.25, vanilla=0.75),
    "naive": Mix(cycle=0, naive=0.6, real_source=0, reconstruction=0.1, vanilla=0.3),
    "cycle": Mix(cycle=0.6, naive=0, real_source=0, reconstruction=0.1, vanilla=0.3),
    "real_source": Mix(cycle=0.2, naive=0, real_source=0.4, reconstruction=0.1, vanilla=0.3),
    "surrogate_source": Mix(
        cycle=0.2, naive=0, real_source=0, reconstruction=0.1, vanilla=0.3, surrogate_source=0.4
    ),
}


class GeneratorSamples(Dataset[dict[str, Tensor]]):
    """Sample i as TripletDataset gives it, and `plain` (3,S,S), the target without painted glasses.

    guidance: whether there is any. corruption: how often it is corrupted, never if None. painted: how often glasses are
    painted on a target without truth; a truth would not have them.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        mix: Mix,
        batch: int,
        seed: int,
        *,
        workers: int = 1,
        ranks: int = 1,
        shares: Sequence[float] = (),
        corruption: CorruptionRates | None = None,
        painted: float = 0.0,
        augmentation: Augmentation | None = None,
        alternate: bool = False,
        guidance: bool = True,
    ) -> None:
        if not 0 <= painted <= 1:
            raise ReliableSwapError(f"--painted_glasses is {painted}; choose a share from 0 to 1")
        self.seed, self.corruption, self.painted = seed, corruption if guidance else None, painted
        self.triplets = TripletFolders(
            folders,
            "train",
            mix=mix,
            batch=batch,
            seed=seed,
            ranks=ranks,
            workers=workers,
            shares=shares,
            augmentation=augmentation,
            alternate=alternate,
            guidance=guidance,
        )

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        dataset, number = self.triplets.locate(i)
        sample = dataset[number]
        rng = np.random.default_rng([self.seed, 3, i])
        kind = (self.corruption or _NEVER).draw(rng)
        if kind:
            sample["guidance"] = torch.from_numpy(corrupt_guidance(sample["guidance"].numpy(), kind, rng))
        sample["plain"] = sample["target"]
        if rng.random() < self.painted and not sample["has_truth"] and not sample["glasses"][3].any():
            sample.update(with_glasses(sample["target"], sample["mesh"], rng))
        return sample


_NEVER = CorruptionRates().scaled(0)


def with_glasses(target: Tensor, mesh: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """(3,S,S) in [-1,1], (468,3) -> the target with glasses painted on, and `glasses` (4,S,S) as in the dataset."""
    picture = target.add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
    painted, worn = paint_glasses(picture, mesh.numpy().astype(np.float64), rng)
    result = torch.from_numpy(painted).permute(2, 0, 1).float().div(127.5).sub(1)
    return {"target": result, "glasses": torch.cat([result, torch.from_numpy(worn)[None]])}
