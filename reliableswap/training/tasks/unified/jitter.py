"""Augmentation of face pictures: small shifts, rotations, scales and tints."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SHIFT, _SCALE, _TURN = 0.05, 0.06, 0.06  # share of half the side; share of the size; radians
_GAIN, _OFFSET, _TINT = 0.12, 0.1, 0.03  # of values in [-1,1]; the tint differs by channel


def jittered(pictures: Tensor, amount: float = 1.0, *, whole_pixels: bool = False) -> Tensor:
    """(B,3,S,S) in [-1,1] -> the same, jittered at random on their device; edges are repeated outside.

    whole_pixels: shift by whole pixels only, without rotation and scale, because resampling would soften the pictures.
    """
    count, side, device = len(pictures), pictures.shape[-1], pictures.device

    def chance(*shape: int) -> Tensor:
        return amount * (2 * torch.rand(count, *shape, device=device) - 1)

    scale, turn, shift = 1 + _SCALE * chance(), _TURN * chance(), _SHIFT * chance(2)
    if whole_pixels:
        scale, turn, shift = (
            torch.ones_like(scale),
            torch.zeros_like(turn),
            (shift * side / 2).round() * 2 / side,
        )
    cos, sin = scale * turn.cos(), scale * turn.sin()
    matrix = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False).to(pictures.dtype)
    moved = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    gain, offset = 1 + _GAIN * chance(1, 1, 1), _OFFSET * chance(1, 1, 1) + _TINT * chance(3, 1, 1)
    return (moved * gain + offset).clamp(-1, 1)
