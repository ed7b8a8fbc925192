"""What a training is about, as the loop sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.models.base import Network


class Task:
    """Samples, losses and a measure on held-out people. Optional parts have a default that does nothing."""

    dataset: Dataset[Any]
    """Sample i follows from the seed and i alone, for any i."""

    collate: Any = None

    measured_on: str = "held-out people"
    """What `validate` looks at, for the card."""

    companions: dict[str, torch.nn.Module]
    """Modules trained with the network by the same optimizer and never shipped, such as a margin head. The loop
    replaces each by its distributed wrapper."""

    discriminator: Network | None = None
    """Judges the network's results; has its own optimizer."""

    def __init__(self) -> None:
        self.companions = {}

    def prepare(self, batch: Any) -> Any:
        """Complete a batch on the device, before its losses; what workers would take long for. Without gradients."""
        return batch

    def losses(self, network: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Weighted losses by name; their sum is minimised."""
        raise NotImplementedError

    def discriminator_losses(self, discriminator: torch.nn.Module, batch: Any) -> dict[str, Tensor]:
        """Losses of the discriminator by name, on the batch that `losses` was last given."""
        raise NotImplementedError

    def validate(self, network: Network) -> dict[str, float]:
        """Figures on held-out people by name."""
        raise NotImplementedError

    def start(self, step: int, device: torch.device) -> None:
        """Prepare for a step or a validation: what depends on the step, and modules to move to the device."""

    def frozen_networks(self) -> list[torch.nn.Module]:
        """Networks that losses look through, for --compile."""
        return []

    def grid(self, network: Network) -> np.ndarray | None:
        """(H,W,3) uint8 the network's results on held-out people, to look at."""
        return None

    def warnings(self, figures: dict[str, float]) -> list[str]:
        """Problems that the figures show, one line each."""
        return []

    def facts(self) -> dict[str, str]:
        """Facts about the data for the card, by name."""
        return {}

    def fingerprint(self) -> dict[str, str]:
        """Digests of the data and the frozen networks by name; a run resumes only with the same."""
        return {}
