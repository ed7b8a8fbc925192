"""Convert pictures to the networks' input."""

from __future__ import annotations

from torch import Tensor


def to_network(images: Tensor) -> Tensor:
    """(B,H,W,3) uint8 -> (B,3,H,W) in [-1,1], channels last in memory."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1
