"""What a training is about, as the loop sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.models.base import Network


class Task:
    """Samples, losses and a measure on held-out people; what only some trainings have has a default that is none."""

    dataset: Dataset[Any]
    """Sample i follows from the seed and i alone, for any i."""

    collate: Any = None

    companions: dict[str, torch.nn.Module]
    """Modules trained along with the network, by the same optimiser, and never shipped: a margin head. The loop puts
    the distributed version of each into this dictionary."""

    discriminator: Network | None = None
    """Judges what the network makes, with an optimiser of its own."""

    def __init__(self) -> None:
        self.companions = {}

    def losses(self, network: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Named losses, already weighted; their sum is minimised."""
        raise NotImplementedError

    def discriminator_losses(self, discriminator: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Named losses of the discriminator, on the batch that `losses` saw just before."""
        raise NotImplementedError

    def validate(self, network: Network) -> dict[str, float]:
        """Figures on held-out people, by name."""
        raise NotImplementedError

    def start(self, step: int, device: torch.device) -> None:
        """Called before every step, and once before a validation: what depends on the step, and on the device."""

    def grid(self, network: Network) -> np.ndarray | None:
        """(H,W,3) uint8 what the network makes of held-out people, to look at."""
        return None

    def warnings(self, figures: dict[str, float]) -> list[str]:
        """What the figures say goes wrong, one line each."""
        return []

    def facts(self) -> dict[str, str]:
        """What the card says about the data, by name."""
        return {}
