"""Training GlassesNet on faces that wear none and have some painted on: every pixel's answer is known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.data.augment import NONE, flipped
from reliableswap.data.triplet_dataset import Mix, TripletDataset
from reliableswap.errors import ReliableSwapError
from reliableswap.faces import glasses as look
from reliableswap.faces.looks import GLASSES
from reliableswap.imaging.degrade import Rng, degrade
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.models.base import Network
from reliableswap.models.glasses import GlassesNet
from reliableswap.training.core.settings import RunSettings, setting
from reliableswap.training.core.trainer import Task, train
from reliableswap.triplets.surrogates import AlignedFace

from .landmarks import shaken_by

_BARE = -1.0  # log odds below which a face surely wears none
_SHOWN = 16  # faces in the grid
_WHOLE = 0.25  # a pixel that is glasses to this share counts as one


@dataclass
class GlassesSettings(RunSettings):
    train_batch_size: int = setting(64, "samples a step and process")
    triplets: str = setting("triplets", "folders of triplets whose real photos are painted on, with commas")
    painted_share: float = setting(0.85, "how often a face gets glasses; the others stay without")
    validation_pictures: int = setting(256, "held-out faces a validation")

    @property
    def folders(self) -> list[Path]:
        return [Path(name.strip()) for name in self.triplets.split(",") if name.strip()]


class PaintedFaces(Dataset[dict[str, Tensor]]):
    """Sample i: picture (64,128,3) uint8, worn (64,128) 0 or 1, and whether it counts; from the seed and i alone."""

    def __init__(self, settings: GlassesSettings, split: str) -> None:
        if not settings.folders:
            raise ReliableSwapError("--triplets names no folder; make one with `reliableswap triplets`")
        ranks = int(os.environ.get("WORLD_SIZE", "1")) if split == "train" else 1
        lanes = ranks * max(1, settings.dataloader_num_workers) if split == "train" else 1
        self.settings, self.turn_length = settings, settings.train_batch_size * ranks
        self.photos = []
        for folder in settings.folders:
            shards = len(list((folder / "data").glob(f"{split}-*.parquet")))
            self.photos.append(
                TripletDataset(
                    folder,
                    split,
                    mix=Mix(cycle=0, real_source=0, reconstruction=0, vanilla=1),
                    augmentation=NONE,
                    seed=settings.seed,
                    lanes=max(1, min(lanes, shards)),
                    batch=settings.train_batch_size,
                )
            )

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.settings.seed, 5, i])
        # By chance and not in turn, or each reader would see half of each folder.
        turn = np.random.default_rng([self.settings.seed, 6, i // self.turn_length])
        sample = self.photos[int(turn.integers(len(self.photos)))].sample(i, rng)
        face, counts = next(
            ((face, 1.0) for face in (sample.target, sample.source) if _bare(face)), (sample.target, 0.0)
        )
        picture, worn = self.painted(face, rng)
        return {
            "picture": torch.from_numpy(picture),
            "worn": torch.from_numpy(worn),
            "counts": torch.tensor(counts),
        }

    def painted(self, face: AlignedFace, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """(64,128,3), (64,128) the piece around a face's eyes, with glasses or without, seen through a poor camera."""
        if rng.random() < 0.5:
            face = flipped(face)
        matrix = shaken_by(look.to_patch(face.mesh), look.SIZE, rng, degrees=4, size=0.06, shift=0.02)
        x0, y0, x1, y1 = look.bounds(matrix, face.crop.shape[:2])
        picture, mesh = face.crop[y0:y1, x0:x1], face.mesh - np.array([x0, y0, 0], np.float32)
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ (x0, y0)])
        worn = np.zeros(picture.shape[:2], np.float32)
        if rng.random() < self.settings.painted_share:
            # Thin wire on a small crop is less than a pixel wide, as in a small photo.
            picture, worn = paint_glasses(picture, mesh, rng)
        picture = degrade(picture, rng, strength=0.6)
        answer = look.patch(worn, matrix) > _WHOLE
        return look.patch(picture, matrix), answer.astype(np.float32)


def _bare(face: AlignedFace) -> bool:
    return GLASSES.score(face.crop, face.mesh) < _BARE


class GlassesTask(Task):
    """Cross-entropy and overlap, and the overlap on held-out people."""

    def __init__(self, settings: GlassesSettings) -> None:
        super().__init__()
        self.settings = settings
        self.dataset = PaintedFaces(settings, "train")
        self.held_out = PaintedFaces(settings, "validation")

    def losses(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = network(to_network(batch["picture"])).float()[:, 0]
        worn, counts = batch["worn"], batch["counts"][:, None, None]
        each = F.binary_cross_entropy_with_logits(logits, worn, reduction="none")
        odds = torch.sigmoid(logits) * counts
        both = (odds * worn).sum()
        return {
            "pixels": (each * counts).mean() / counts.mean().clamp(min=1e-3),
            "overlap": 0.2 * (1 - 2 * both / (odds.sum() + (worn * counts).sum()).clamp(min=1)),
        }

    @cached_property
    def fixed(self) -> dict[str, Tensor]:
        return torch.utils.data.default_collate(
            [self.held_out[i] for i in range(self.settings.validation_pictures)]
        )

    def validate(self, network: Network) -> dict[str, float]:
        """Of all pixels on held-out faces: overlap (intersection over union), found of those worn, right of those said,
        and false on bare faces."""
        batch = self.fixed
        kept = batch["counts"] > 0
        found = self._answer(network, batch["picture"][kept]) > 0.5
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
    def _answer(network: Network, pictures: Tensor) -> Tensor:
        parts = [torch.sigmoid(network(to_network(part.to(network.device)))) for part in pictures.split(64)]
        return torch.cat(parts)[:, 0].float().cpu()

    def grid(self, network: Network) -> np.ndarray:
        pictures = self.fixed["picture"][:_SHOWN]
        odds = (self._answer(network, pictures)[..., None].numpy() * 255).astype(np.uint8).repeat(3, 3)
        truth = (self.fixed["worn"][:_SHOWN, ..., None].numpy() * 255).astype(np.uint8).repeat(3, 3)
        rows = np.concatenate([pictures.numpy(), truth, odds], 2)
        return np.concatenate(list(rows))

    def facts(self) -> dict[str, str]:
        folders = ", ".join(folder.name for folder in self.settings.folders)
        return {
            "photos": f"the real photos of {folders}, of people who wear no glasses; all glasses are painted"
        }


def to_network(pictures: Tensor) -> Tensor:
    """(B,64,128,3) uint8 -> (B,3,64,128) in [-1,1]."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def run(settings: GlassesSettings) -> dict[str, Any]:
    """Paint, train, save; returns the figures on held-out people."""
    torch.manual_seed(settings.seed)
    return train(GlassesNet(), GlassesTask(settings), settings)
