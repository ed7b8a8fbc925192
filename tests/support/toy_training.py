"""A toy task for tests of the training loop: does a picture's mean exceed zero?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from reliableswap.models.base import Network, register_to_config
from reliableswap.training.core.settings import RunSettings
from reliableswap.training.core.state import checkpoints
from reliableswap.training.core.task import Task

WEIGHTS = "diffusion_pytorch_model.safetensors"


class ToyNetwork(Network):
    """(B,3,8,8) -> (B,)."""

    @register_to_config
    def __init__(self, batch_norm: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8) if batch_norm else nn.Identity()
        self.last = nn.Linear(8, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.last(self.norm(self.first(pictures)).relu().mean((2, 3)))[:, 0]


class ToySamples(Dataset[dict[str, Tensor]]):
    """Sample i depends on the seed and i alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + i)
        picture = torch.randn(3, 8, 8, generator=generator)
        return {"picture": picture, "answer": (picture.mean() > 0).float()}


class ToyTask(Task):
    """adversarial: add a discriminator. noise: of the random numbers that the losses add to the pictures."""

    def __init__(self, seed: int = 0, *, adversarial: bool = False, noise: float = 0.0) -> None:
        super().__init__()
        self.dataset = ToySamples(seed)
        self.noise = noise
        self.made = torch.zeros(0)
        if adversarial:
            torch.manual_seed(7)
            self.discriminator = ToyNetwork()

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        pictures = batch["picture"] + self.noise * torch.randn_like(batch["picture"])
        answer = network(pictures).float()
        self.made = answer.detach()
        losses = {"distance": nn.functional.binary_cross_entropy_with_logits(answer, batch["answer"])}
        if self.discriminator is not None:
            losses["fooled"] = 0.1 * answer.mean()
        return losses

    def discriminator_losses(self, discriminator: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"judged": (discriminator(batch["picture"]).float() - self.made).square().mean()}

    def validate(self, network: Network) -> dict[str, float]:
        batch = torch.utils.data.default_collate([self.dataset[10**6 + i] for i in range(16)])
        right = (network(batch["picture"]) > 0) == (batch["answer"] > 0)
        return {"accuracy": float(right.float().mean())}

    def fingerprint(self) -> dict[str, str]:
        return {"samples": f"seed {self.dataset.seed}"}


def toy_settings(output: Path, **more: Any) -> RunSettings:
    values: dict[str, Any] = {
        "train_batch_size": 4, "max_train_steps": 4, "lr_warmup_steps": 0, "logging_steps": 1, "report_to": "none",
        "mixed_precision": "no", "dataloader_num_workers": 0, "learning_rate": 1e-2,
    }  # fmt: skip
    return RunSettings(output_dir=output, **{**values, **more})


def toy_network(**more: Any) -> ToyNetwork:
    torch.manual_seed(3)
    return ToyNetwork(**more)


def tensors_of_run(output: Path) -> dict[str, Tensor]:
    """Every tensor of the newest checkpoint, by file and name."""
    folder = checkpoints(output)[-1]
    return {
        f"{path.relative_to(folder)}/{name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def same_run(one: Path, other: Path) -> bool:
    """Whether the newest checkpoints are of the same step and bitwise equal."""
    first, second = tensors_of_run(one), tensors_of_run(other)
    return (
        checkpoints(one)[-1].name == checkpoints(other)[-1].name
        and first.keys() == second.keys()
        and all(torch.equal(first[name], second[name]) for name in first)
    )


def figures_of_run(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "figures.jsonl").read_text().splitlines()]
