"""Small generators, training tasks and batches, for tests of generator training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reliableswap.bundled import bundled
from reliableswap.data.mix import KINDS
from reliableswap.models import FixerNet, IdentityEncoder, LightGenerator, MeshNet, PerceptualFeatures
from reliableswap.training.tasks.generator.build import LoadedNetworks
from reliableswap.training.tasks.generator.settings import GeneratorSettings
from reliableswap.training.tasks.generator.task import GeneratorTask

SIZE = 64
SMALL = (8, 12, 16, 24)
EVERY_LOSS = {
    f"{name}_weight": 1.0
    for name in (
        "identity", "lower_face", "l1", "gradient", "perceptual", "colour", "chroma", "feature_matching", "adversarial",
        "penalty", "cycle", "mask", "mesh", "gaze", "expression", "pose",
    )
}  # fmt: skip


def settings_for(triplets: Path, **more: Any) -> GeneratorSettings:
    values = {
        "triplets": str(triplets), "train_batch_size": 5, "mixed_precision": "no", "dataloader_num_workers": 0,
        "lr_warmup_steps": 0, "validation_pairs": 4, "discriminator_channels": 4, "report_to": "none",
    }  # fmt: skip
    return GeneratorSettings.of("light", **{**values, **more})


def task_for(settings: GeneratorSettings, encoders: Path) -> GeneratorTask:
    torch.manual_seed(1)
    networks = LoadedNetworks(
        IdentityEncoder.from_pretrained(encoders / "identity"),
        FixerNet.from_pretrained(encoders / "fixer") if settings.lower_face_weight else None,
        MeshNet.from_pretrained(bundled("landmarks")).float(),
        PerceptualFeatures() if settings.perceptual_weight else None,
        [IdentityEncoder.from_pretrained(folder) for folder in settings.further_encoders],
    )
    return GeneratorTask(settings, networks)


def small_light(task: GeneratorTask) -> LightGenerator:
    torch.manual_seed(2)
    fixer = task.networks.fixer.embedding_size if task.networks.fixer else 0
    return LightGenerator(channels=SMALL, block_count=1, identity_dim=16, fixer_dim=fixer)


def batch_of(task: GeneratorTask, numbers: Iterable[int]) -> dict[str, Tensor]:
    """A batch of the samples with these numbers, prepared for the losses."""
    return task.prepare(task.collate([task.samples[i] for i in numbers]))


def resized(batch: dict[str, Tensor], side: int, mode: str = "nearest") -> dict[str, Tensor]:
    """The batch with its pictures and masks at another size."""
    pictures = {name: value for name, value in batch.items() if value.dim() == 4}
    return batch | {
        name: nn.functional.interpolate(one, size=(side, side), mode=mode) for name, one in pictures.items()
    }


def batch_of_every_kind(task: GeneratorTask) -> dict[str, Tensor]:
    """A batch with the first sample of each kind."""
    found: dict[int, dict[str, Tensor]] = {}
    for i in range(200):
        sample = task.samples[i]
        found.setdefault(int(sample["kind"]), sample)
        if len(found) == len(KINDS):
            return task.prepare(task.collate(list(found.values())))
    raise AssertionError(f"only kinds {sorted(found)} among 200 samples")


ALL_KINDS = {f"{kind}_share": 1.0 for kind in KINDS}


def sizes_of_gradients(loss: Tensor, network: nn.Module) -> float:
    """The sum of the absolute gradients of the network's parameters."""
    learning = [p for p in network.parameters() if p.requires_grad]
    grads = torch.autograd.grad(loss, learning, retain_graph=True, allow_unused=True)
    return sum(float(g.abs().sum()) for g in grads if g is not None)
