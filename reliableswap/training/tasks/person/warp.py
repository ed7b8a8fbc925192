"""Random rotation, scale and shift of faces, and random warps of the encoder's input."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

CELLS = 5  # points per side of the coarse grid that a warp displaces
_TURN, _SIZE, _SHIFT = 6.0, 0.05, 0.03  # standard deviations: degrees, and shares of the side


def draw_jitter(count: int, strength: float, device: torch.device | None = None) -> Tensor:
    """Draw (B,2,3) matrices of rotation, scale and shift for `affine_grid`."""
    angle, scale, x, y = strength * torch.randn(4, count, device=device)
    angle, scale = math.radians(_TURN) * angle, (_SIZE * scale).exp()
    cos, sin = scale * angle.cos(), scale * angle.sin()
    return torch.stack([cos, -sin, 2 * _SHIFT * x, sin, cos, 2 * _SHIFT * y], 1).unflatten(1, (2, 3))


def draw_warp(count: int, strength: float, device: torch.device | None = None) -> Tensor:
    """Draw (B,2,CELLS,CELLS) displacements of a coarse grid's points, in units of half a side."""
    return 2 * strength * torch.randn(count, 2, CELLS, CELLS, device=device)


def sampling_grid(jitter: Tensor, side: int, warp: Tensor | None = None) -> Tensor:
    """(B,2,3) and (B,2,CELLS,CELLS) -> (B,side,side,2) the sampling grid for `grid_sample`."""
    grid = F.affine_grid(jitter, [len(jitter), 3, side, side], align_corners=False)
    if warp is None:
        return grid
    moved = F.interpolate(warp, size=(side, side), mode="bicubic", align_corners=True)
    return grid + moved.permute(0, 2, 3, 1)


def resample(pictures: Tensor, grid: Tensor) -> Tensor:
    """(B,C,S,S) resampled at a grid (B,side,side,2), after average pooling if side is smaller than S."""
    side = grid.shape[1]
    if pictures.shape[-1] > side:
        pictures = F.adaptive_avg_pool2d(pictures, side)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def to_pictures(pixels: Tensor) -> Tensor:
    """(B,S,S,3) uint8 -> (B,3,S,S) float32 in [-1,1]."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
