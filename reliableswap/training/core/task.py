"""What the training loop needs of a training: samples, losses and validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from reliableswap.models.base import Network


class Task:
    """Samples, losses and validation of a training. Optional methods do nothing by default."""

    dataset: Dataset[Any]
    """Sample i depends only on the seed and i, and exists for any i."""

    collate: Any = None

    measured_on: str = "held-out people"
    """What `validate` measures on, for the model card."""

    companions: dict[str, torch.nn.Module]
    """Modules trained with the network by the same optimizer but not published, such as a margin head. The loop
    replaces each with its distributed wrapper."""

    discriminator: Network | None = None
    """Judges the network's results; has its own optimizer."""

    def __init__(self) -> None:
        self.companions = {}

    def prepare(self, batch: Any) -> Any:
        """Complete a batch on the device before its losses, without gradients: work too slow for the workers."""
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
        """Prepare for a step or a validation: set what depends on the step, and move modules to the device."""

    def frozen_networks(self) -> list[torch.nn.Module]:
        """Return the frozen networks that the losses run, for --compile."""
        return []

    def grid(self, network: Network) -> np.ndarray | None:
        """(H,W,3) uint8 the network's results on held-out people, for inspection."""
        return None

    def warnings(self, figures: dict[str, float]) -> list[str]:
        """Problems that the figures show, one line each."""
        return []

    def facts(self) -> dict[str, str]:
        """Facts about the data for the card, by name."""
        return {}

    def fingerprint(self) -> dict[str, str]:
        """Digests of the data and the frozen networks by name. A run resumes only if they are unchanged."""
        return {}
