"""The losses of a person's decoder; each returns (B,), one value per sample."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

_SIGMA = 1.5
_MAX_WINDOW = 11  # side of SSIM's window, as in Wang et al. (2004), where the picture is large enough
_LUMA = (0.299, 0.587, 0.114)


def ssim_loss(output: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(B,3,S,S) twice in [-1,1], (B,1,S,S) in 0..1 -> one minus the mean SSIM of the masked pictures in the mask."""
    return 1 - masked_ssim(output, truth, mask)


def masked_ssim(output: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(B,3,S,S) twice in [-1,1], (B,1,S,S) -> (B,) the mean SSIM in the mask of pictures made black outside it."""
    return masked_mean(ssim_map((output + 1) / 2 * mask, (truth + 1) / 2 * mask), mask)


def l1_loss(output: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(B,3,S,S) twice, (B,1,S,S) -> the mean absolute difference in the mask."""
    return masked_mean((output - truth).abs(), mask)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(B,C,S,S), (B,1,S,S) -> (B,) the mean over the mask; zero where it is empty."""
    return (values.mean(1, keepdim=True) * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1e-3)


def ssim_map(output: Tensor, truth: Tensor) -> Tensor:
    """(B,C,S,S) twice in [0,1] -> (B,C,S,S) structural similarity."""
    x, y = output.float(), truth.float()
    channels, side = x.shape[1], x.shape[-1]
    window = _window(min(_MAX_WINDOW, side // 2 * 2 - 1), x.device)

    def mean(values: Tensor) -> Tensor:
        half = len(window) // 2
        values = F.pad(values, (half, half, half, half), mode="reflect")
        values = F.conv2d(values, window.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
        return F.conv2d(values, window.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)

    c1, c2 = 0.01**2, 0.03**2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))


def psnr(output: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """(B,3,S,S) twice in [-1,1], (B,1,S,S) -> (B,) decibels in the mask."""
    error = masked_mean((output.clamp(-1, 1) - truth).square(), mask) / 4
    return -10 * torch.log10(error.clamp(min=1e-10))


@lru_cache(maxsize=8)
def _window(size: int, device: torch.device) -> Tensor:
    """(size,) a Gaussian with sum 1. Cached, because copying it to a device waits for the device."""
    with torch.inference_mode(False):
        values = torch.exp(-((torch.arange(size) - (size - 1) / 2) ** 2) / (2 * _SIGMA**2))
        return (values / values.sum()).to(device)
