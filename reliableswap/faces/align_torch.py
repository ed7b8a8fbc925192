"""Crops as PyTorch tensors."""

from __future__ import annotations

import numpy as np
import torch

from .align import to_planes


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H,W,3) uint8 -> (1,3,H,W) float32 in [-1,1], in channels-last memory."""
    return torch.from_numpy(to_planes(image))
