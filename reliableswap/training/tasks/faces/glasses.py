"""Train GlassesNet on faces with painted glasses, whose exact pixels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.aligned import AlignedFace
from reliableswap.data.augment import NONE, flipped
from reliableswap.data.mix import Mix
from reliableswap.faces import glasses as look
from reliableswap.faces.looks import GLASSES
from reliableswap.imaging.degrade import Rng, degrade
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.models.base import Network
from reliableswap.models.glasses import GlassesNet
from reliableswap.training.core.fingerprint import digest_of_files
from reliableswap.training.core.settings import RunSettings, setting
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.pixels import to_network
from reliableswap.training.tasks.triplet_folders import (
    TripletFolders,
    launched_processes,
    shards_of,
    with_validation,
)

from .crop_jitter import jitter_crop

_MAX_LOG_ODDS = -1.0  # a face with lower log odds of glasses surely wears none
_GRID = 16  # faces in the grid
_MIN_COVERAGE = 0.25  # a pixel covered by glasses to a larger share counts as glasses


@dataclass
class GlassesSettings(RunSettings):
    train_batch_size: int = setting(64, "samples per batch and process")
    triplets: str = setting(
        "triplets",
        "comma-separated folders of triplets; glasses are painted on their real photos",
        on_resume="any",
    )
    painted_share: float = setting(0.85, "share of faces on which glasses are painted")
    validation_pictures: int = setting(
        256, "held-out faces per validation; 0: train without validation", on_resume="any"
    )

    @property
    def folders(self) -> list[Path]:
        """The folders of triplets."""
        return [Path(name.strip()) for name in self.triplets.split(",") if name.strip()]


class PaintedFaces(Dataset[dict[str, Tensor]]):
    """Sample i: picture (64,128,3) uint8; worn (64,128) of 0 and 1; weight, 0 if the face may already wear glasses."""

    def __init__(self, settings: GlassesSettings, split: str, folders: Sequence[Path]) -> None:
        self.settings = settings
        training = split == "train"
        self.triplets = TripletFolders(
            folders,
            split,
            mix=Mix(cycle=0, real_source=0, reconstruction=0, vanilla=1),
            batch=settings.train_batch_size,
            seed=settings.seed,
            ranks=launched_processes() if training else 1,
            workers=max(1, settings.dataloader_num_workers) if training else 1,
            augmentation=NONE,
        )

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.settings.seed, 5, i])
        dataset, number = self.triplets.locate(i)
        sample = dataset.sample(number, rng)
        bare = [face for face in (sample.target, sample.source) if wears_no_glasses(face)]
        picture, worn = self.painted(bare[0] if bare else sample.target, rng)
        return {
            "picture": torch.from_numpy(picture),
            "worn": torch.from_numpy(worn),
            "weight": torch.tensor(float(bool(bare))),
        }

    def painted(self, face: AlignedFace, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """(64,128,3), (64,128) the degraded eye region, with or without glasses, and where they are."""
        if rng.random() < 0.5:
            face = flipped(face)
        matrix = jitter_crop(look.to_patch(face.mesh), look.SIZE, rng, degrees=4, size=0.06, shift=0.02)
        x0, y0, x1, y1 = look.bounds(matrix, face.crop.shape[:2])
        picture, mesh = face.crop[y0:y1, x0:x1], face.mesh - np.array([x0, y0, 0], np.float32)
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ (x0, y0)])
        worn = np.zeros(picture.shape[:2], np.float32)
        if rng.random() < self.settings.painted_share:
            # Painted before the patch is resampled: on a small crop, thin wire is then less than a pixel wide, as in a
            # small photo.
            picture, worn = paint_glasses(picture, mesh, rng)
        picture = degrade(picture, rng, strength=0.6)
        covered = look.patch(worn, matrix) > _MIN_COVERAGE
        return look.patch(picture, matrix), covered.astype(np.float32)


def wears_no_glasses(face: AlignedFace) -> bool:
    """Return whether a face surely wears no glasses."""
    return GLASSES.score(face.crop, face.mesh) < _MAX_LOG_ODDS


class GlassesTask(Task):
    """Cross-entropy and overlap; validation measures the overlap on held-out people."""

    def __init__(self, settings: GlassesSettings) -> None:
        super().__init__()
        self.settings = settings
        self.dataset = PaintedFaces(settings, "train", settings.folders)
        self.held_out: PaintedFaces | None = None
        if settings.validation_pictures:
            folders = with_validation(settings.folders, "--validation_pictures")
            self.held_out = PaintedFaces(settings, "validation", folders)

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = network(to_network(batch["picture"])).float()[:, 0]
        worn, weight = batch["worn"], batch["weight"][:, None, None]
        each = F.binary_cross_entropy_with_logits(logits, worn, reduction="none")
        probabilities = torch.sigmoid(logits) * weight
        both = (probabilities * worn).sum()
        return {
            "pixels": (each * weight).mean() / weight.mean().clamp(min=1e-3),
            "overlap": 0.2 * (1 - 2 * both / (probabilities.sum() + (worn * weight).sum()).clamp(min=1)),
        }

    @cached_property
    def fixed(self) -> dict[str, Tensor]:
        """The held-out faces, the same at every validation."""
        assert self.held_out is not None
        return torch.utils.data.default_collate(
            [self.held_out[i] for i in range(self.settings.validation_pictures)]
        )

    def validate(self, network: Network) -> dict[str, float]:
        """Return figures over the pixels of held-out faces: overlap (intersection over union), found (recall), right
        (precision), and false (share of pixels that are false positives on faces without glasses)."""
        if self.held_out is None:
            return {}
        batch = self.fixed
        kept = batch["weight"] > 0
        found = self._predict(network, batch["picture"][kept]) > 0.5
        worn = batch["worn"][kept] > 0
        bare = ~worn.flatten(1).any(1)
        return {
            "overlap": float((found & worn).sum() / (found | worn).sum().clamp(min=1)),
            "found": float((found & worn).sum() / worn.sum().clamp(min=1)),
            "right": float((found & worn).sum() / found.sum().clamp(min=1)),
            "false": float(found[bare].float().mean()) if bare.any() else 0.0,
        }

    @staticmethod
    @torch.no_grad()
    def _predict(network: Network, pictures: Tensor) -> Tensor:
        parts = [torch.sigmoid(network(to_network(part.to(network.device)))) for part in pictures.split(64)]
        return torch.cat(parts)[:, 0].float().cpu()

    def grid(self, network: Network) -> np.ndarray | None:
        if self.held_out is None:
            return None
        pictures = self.fixed["picture"][:_GRID]
        predicted = (self._predict(network, pictures)[..., None].numpy() * 255).astype(np.uint8).repeat(3, 3)
        truth = (self.fixed["worn"][:_GRID, ..., None].numpy() * 255).astype(np.uint8).repeat(3, 3)
        rows = np.concatenate([pictures.numpy(), truth, predicted], 2)
        return np.concatenate(list(rows))

    def facts(self) -> dict[str, str]:
        folders = ", ".join(folder.name for folder in self.settings.folders)
        return {
            "photos": f"the real photos of {folders}, of people who wear no glasses; all glasses are painted"
        }

    def fingerprint(self) -> dict[str, str]:
        shards = [shards_of(folder, "train") for folder in self.settings.folders]
        return {f"triplets {number}": digest_of_files(paths) for number, paths in enumerate(shards)}


def run(settings: GlassesSettings) -> dict[str, Any]:
    """Train and save; return the figures on held-out people."""
    torch.manual_seed(settings.seed)
    return train(GlassesNet(), GlassesTask(settings), settings)
