"""Tiny networks of trained people, and drawn frames for short trainings of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.align import align, apply
from reliableswap.models import CombAutoencoder
from reliableswap.training.tasks.person.frames import Frames
from reliableswap.training.tasks.person.settings import PersonSettings

from .people import portrait

SIDE = 16
TINY = {"size": SIDE, "latent": 8, "base_channels": 1, "max_channels": 8, "blocks": "paper"}


class Clock:
    """A stand-in for `monotonic` that stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tiny_people(pipe: ReliableSwapPipeline, people: Mapping[str, int] | None = None) -> CombAutoencoder:
    """Two people, or {name: number of the photo}, as a training leaves them, but their decoders output noise."""
    torch.manual_seed(0)
    known = people or {"alice": 1, "bob": 3}
    network = CombAutoencoder(tuple(known), **TINY)
    for name, number in known.items():
        picture = portrait(number)
        face = pipe.find(picture)[0]
        crop, matrix = align(picture, face.points5)
        mesh = apply(matrix, face.mesh)
        network.decoder(name).portrait.keep(torch.from_numpy(crop), torch.from_numpy(mesh))
        torch.nn.init.normal_(network.decoder(name).to_rgb[str(SIDE)].conv.weight, std=0.5)
    network.grow(SIDE)
    return network


def drawn_frames(person: str, folder: Path, *, count: int = 12, side: int = SIDE, seed: int = 0) -> Frames:
    """Frames of a disc in the person's colour that moves and gets brighter; the last quarter is held out."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(60, 200, 3)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    pictures, masks = np.zeros((count, side, side, 3), np.uint8), np.zeros((count, side, side), np.uint8)
    for i in range(count):
        inside = np.hypot(columns - 0.1 * np.sin(i), rows - 0.1 * np.cos(i)) < 0.35
        pictures[i] = np.where(inside[..., None], colour + 4 * i, 40)
        masks[i] = 255 * inside
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "pictures": pictures,
        "masks": masks,
        "meshes": rng.uniform(0, side, (count, 468, 3)).astype(np.float32),
        "weights": np.linspace(0.5, 1.5, count, dtype=np.float32),
        "portrait": np.full((128, 128, 3), colour, np.uint8),
        "portrait_mesh": rng.uniform(10, 118, (468, 3)).astype(np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    about = {"key": f"drawn {seed}", "training": count * 3 // 4, "width": 90.0, "described": "drawn frames"}
    (folder / "about.json").write_text(json.dumps(about))
    return Frames.load(person, folder)


def person_settings(output: Path, **more: Any) -> PersonSettings:
    """Settings of a run of a few steps from scratch."""
    values: dict[str, Any] = {
        "people": "alice=a.mp4,bob=b.mp4", **TINY, "initial": "none",
        "level_steps": 2, "fade_steps": 2, "max_train_steps": 8, "train_batch_size": 2, "lr_warmup_steps": 0,
        "learning_rate": 1e-3, "logging_steps": 1, "report_to": "none", "mixed_precision": "no",
        "dataloader_num_workers": 0, "validation_frames": 2, "validation_steps": 4, "checkpointing_steps": 100,
    }  # fmt: skip
    return PersonSettings(output_dir=output, **{**values, **more})
