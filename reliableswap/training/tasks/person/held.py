"""Pictures that a device holds whole: a sample is then a number, and a batch is put together there at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LIMIT = 2 * 2**30  # bytes of pictures that are held; more of them are read sample by sample


class Held:
    """Arrays by name, each with a row for every picture, on the device that was asked for last."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self.tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def to(self, device: torch.device) -> None:
        """Move what is not there yet."""
        self.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}

    def rows(self, numbers: Tensor) -> dict[str, Tensor]:
        """Those rows of every array."""
        return {name: tensor[numbers] for name, tensor in self.tensors.items()}
