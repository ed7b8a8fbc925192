"""GlassesNet: finds the pixels of glasses around the eyes."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Network, check_shape, register_to_config


def _convs(inputs: int, outputs: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(count):
        layers += [
            nn.Conv2d(outputs if number else inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class GlassesNet(Network):
    """(B,3,64,128) in [-1,1], level crops around both eyes -> (B,1,64,128) logits of frames and dark lenses.

    A small U-Net: the coarse levels see the whole shape of the glasses, the fine ones see frames one pixel wide.
    """

    @register_to_config
    def __init__(
        self, channels: tuple[int, ...] = (8, 24, 48, 64), height: int = 64, width: int = 128
    ) -> None:
        super().__init__()
        pairs = list(pairwise(channels))
        self.first = _convs(3, channels[0], 1)
        self.down = nn.ModuleList(_convs(fine, coarse, 2) for fine, coarse in pairs)
        self.up = nn.ModuleList(_convs(fine + coarse, fine, 1) for fine, coarse in reversed(pairs))
        self.last = nn.Conv2d(channels[0], 1, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """(B,3,64,128) in [-1,1] -> (B,1,64,128) logits."""
        check_shape("picture", picture, (None, 3, self.config["height"], self.config["width"]))
        # Normalise brightness and contrast, which carry no information about glasses.
        mean = picture.mean((1, 2, 3), keepdim=True)
        x = (picture - mean) / (picture.std((1, 2, 3), keepdim=True) + 0.05)
        maps = [self.first(x)]
        for stage in self.down:
            maps.append(stage(F.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for stage in self.up:
            x = stage(torch.cat([maps.pop(), F.interpolate(x, scale_factor=2.0, mode="nearest")], 1))
        logits: Tensor = self.last(x)
        return logits
