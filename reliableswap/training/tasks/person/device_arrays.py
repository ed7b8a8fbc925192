"""Pictures that are all held on the device: a sample is then an index, and a batch is gathered there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MAX_BYTES = 2 * 2**30  # bytes of pictures that are held at most; beyond it they are read sample by sample


class DeviceArrays:
    """Arrays by name, each with a row for every picture, on the device last passed to `to`."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self.tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def to(self, device: torch.device) -> None:
        """Move the arrays to the device."""
        self.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}

    def rows(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return these rows of every array."""
        return {name: tensor[numbers] for name, tensor in self.tensors.items()}
