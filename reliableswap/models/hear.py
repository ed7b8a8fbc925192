"""HearNet: FaceShifter's second stage, which restores what covers the target's face."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Network, check_shape, register_to_config
from .faceshifter import FaceShifterGenerator


class HearNet(Network):
    """(B,3,H,W) swapped, (B,3,H,W) target minus its self-swap, both of [-1,1] pictures -> (B,3,H,W) in [-1,1]."""

    @register_to_config
    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        widths = [channels * min(2**level, 8) for level in range(5)]
        before = [6, *widths[:-1]]
        self.down = nn.ModuleList(
            _block(nn.Conv2d(i, o, 4, stride=2, padding=1), o) for i, o in zip(before, widths, strict=True)
        )
        self.up = nn.ModuleList()
        wide = widths[-1]
        for width in reversed(widths[:-1]):
            self.up.append(_block(nn.ConvTranspose2d(wide, width, 4, stride=2, padding=1), width))
            wide = 2 * width  # with the skip concatenated
        self.head = nn.Conv2d(wide, 3, 3, padding=1)

    def forward(self, swapped: Tensor, heuristic_error: Tensor) -> Tensor:
        """(B,3,H,W) AEI-Net's swap, (B,3,H,W) target minus AEI-Net's swap of the target with itself -> (B,3,H,W)."""
        check_shape("swapped", swapped, (None, 3, None, None), 32)
        check_shape("heuristic_error", heuristic_error, tuple(swapped.shape))
        x = torch.cat([swapped, heuristic_error], dim=1)
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        for up, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = torch.cat([skip, up(x)], dim=1)
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        return torch.tanh(self.head(x))

    def refine(
        self, generator: FaceShifterGenerator, target: Tensor, identity: Tensor, target_identity: Tensor
    ) -> Tensor:
        """Run both stages of FaceShifter: (B,3,S,S) target, the source's (B,D), the target's (B,D) -> (B,3,S,S)."""
        swapped = generator(target, identity).image
        itself = generator(target, target_identity).image
        return self(swapped, target - itself)


def _block(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.LeakyReLU(0.1, inplace=True))
