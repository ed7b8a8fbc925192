"""Random turns, sizes and shifts of faces, and random warps of what the encoder sees."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

CELLS = 5  # points a side of the coarse grid that a warp moves
_TURN, _SIZE, _SHIFT = 6.0, 0.05, 0.03  # standard deviations: degrees, and shares of the side


def draw_jitter(rng: np.random.Generator, strength: float) -> np.ndarray:
    """(2,3) float32 a turn, size and shift as `affine_grid` takes them."""
    angle = np.radians(rng.normal(0, _TURN * strength))
    scale = np.exp(rng.normal(0, _SIZE * strength))
    x, y = rng.normal(0, 2 * _SHIFT * strength, 2)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]], np.float32)


def draw_warp(rng: np.random.Generator, strength: float) -> np.ndarray:
    """(2,CELLS,CELLS) float32 how far the points of a coarse grid move; a side is 2 long."""
    return rng.normal(0, 2 * strength, (2, CELLS, CELLS)).astype(np.float32)


def places(jitter: Tensor, side: int, warp: Tensor | None = None) -> Tensor:
    """(B,2,3) and (B,2,CELLS,CELLS) -> (B,side,side,2), where `grid_sample` reads each pixel."""
    grid = F.affine_grid(jitter, [len(jitter), 3, side, side], align_corners=False)
    if warp is None:
        return grid
    moved = F.interpolate(warp, size=(side, side), mode="bicubic", align_corners=True)
    return grid + moved.permute(0, 2, 3, 1)


def read_at(pictures: Tensor, grid: Tensor) -> Tensor:
    """(B,C,S,S) read at places (B,side,side,2), averaged where side is smaller than S."""
    side = grid.shape[1]
    if pictures.shape[-1] > side:
        pictures = F.adaptive_avg_pool2d(pictures, side)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def to_pictures(pixels: Tensor) -> Tensor:
    """(B,S,S,3) uint8 -> (B,3,S,S) float32 in [-1,1]."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
