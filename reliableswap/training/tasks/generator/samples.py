"""The generator's training samples: triplets with augmented guidance and targets.

Guidance is corrupted at random. Glasses are painted on some targets: few photos have any, and the generator has to
express the identity in what glasses leave visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.augment import Augmentation
from reliableswap.data.complete import Batch, complete, to_unit, with_overlays
from reliableswap.data.mix import Mix
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.painted_glasses import draw_glasses
from reliableswap.training.tasks.triplet_folders import TripletFolders

from .corruption import CorruptionRates, corrupted, draw_corruption

# The mixes that --supervision names. Reconstruction teaches the generator to keep a face that is given its own
# identity. Samples without truth are the actual use case: a real target and another person's real source.
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
    """Sample i as TripletDataset gives it, with the corruption of its guidance and the glasses to paint on its target.
    `completed` makes a batch of them, with `plain` (3,S,S), the target without painted glasses.

    guidance: whether there is any. glasses: whether worn glasses are included even without guidance. covers: whether
    what hides a target's face is in front of the generated one too. corruption: how often guidance is corrupted; None:
    never. painted: how often glasses are painted on a target without truth; a truth would lack them.
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
        glasses: bool = True,
        covers: bool = False,
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
            glasses=glasses or painted > 0,
            covers=covers,
        )

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        dataset, number = self.triplets.locate(i)
        sample = dataset[number]
        rng = np.random.default_rng([self.seed, 3, i])
        kind = (self.corruption or _NO_CORRUPTION).draw(rng)
        size = sample["target"].shape[0]
        if kind:
            sample |= draw_corruption(kind, size, rng)
        if rng.random() < self.painted and not sample["has_truth"] and not _COVERED & sample.keys():
            glasses = draw_glasses(sample["mesh"].numpy().astype(np.float64), (size, size), rng)
            sample["painted"] = torch.from_numpy(glasses.planes())
        return sample


_NO_CORRUPTION = CorruptionRates().scaled(0)
_COVERED = {"worn", "keep_source_glasses", "front"}  # entries of a sample whose face is partly hidden already


@torch.no_grad()
def completed(batch: Batch) -> Batch:
    """Complete a batch of samples as TripletDataset describes it, and add `plain`."""
    with torch.autocast(batch["target"].device.type, enabled=False):
        result = complete(batch)
        result["guidance"] = corrupted(result["guidance"], batch)
        result["plain"] = result["target"]
        if "painted" in batch:
            target = to_unit(with_overlays(((result["target"] + 1) * 127.5).round(), batch, "painted"))
            rows, planes = batch["painted_rows"], batch["painted"].float()
            opacity = torch.maximum(result["glasses"].index_select(0, rows)[:, 3:], planes[:, 4:])
            worn = torch.cat([target.index_select(0, rows), opacity], 1)
            result |= {"target": target, "glasses": result["glasses"].index_copy(0, rows, worn)}
    return result
