"""Pictures of faces a little shifted, turned, scaled and coloured, so that one photo gives many."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SHIFT, _SCALE, _TURN = 0.05, 0.06, 0.06  # of half the picture's side; of its size; radians
_GAIN, _OFFSET, _TINT = 0.12, 0.1, 0.03  # of values in [-1,1]; the tint is each channel's own


def jittered(pictures: Tensor, amount: float = 1.0, *, whole_pixels: bool = False) -> Tensor:
    """(B,3,S,S) in [-1,1] -> the same, changed at random on their device; what lies outside repeats the edge.

    whole_pixels: they are shifted by whole pixels, and neither turned nor scaled, because resampling softens them.
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
