"""PatchDiscriminator: tells real patches from generated ones at several scales."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from .base import Network, check_shape, register_to_config


class Judgement(NamedTuple):
    """A discriminator's output, finest scale first.

    logits: (B,1,h,w) per scale, high where a patch looks real. features: the feature maps of each scale.
    """

    logits: list[Tensor]
    features: list[list[Tensor]]


class PatchJudge(nn.Module):
    """(B,C,H,W) -> (B,1,h,w) logits and all feature maps: strided 4x4 convolutions with spectral norm."""

    def __init__(self, channels_in: int, channels: int, halvings: int) -> None:
        super().__init__()
        steps, before = [], channels_in
        for level in range(halvings):
            after = channels * min(2**level, 8)
            steps.append(spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1)))
            before = after
        steps.append(spectral_norm(nn.Conv2d(before, before, 3, padding=1)))
        self.steps = nn.ModuleList(steps)
        self.head = spectral_norm(nn.Conv2d(before, 1, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for step in self.steps:
            x = F.leaky_relu(step(x), 0.2)
            maps.append(x)
        return self.head(x), maps


class PatchDiscriminator(Network):
    """(B,3,H,W) in [-1,1] -> Judgement; each scale sees the picture at half the size of the one before."""

    @register_to_config
    def __init__(self, channels: int = 64, halvings: int = 3, scales: int = 2) -> None:
        super().__init__()
        self.multiple = 2 ** (halvings + scales - 1)
        self.judges = nn.ModuleList(PatchJudge(3, channels, halvings) for _ in range(scales))

    def forward(self, pictures: Tensor) -> Judgement:
        """(B,3,H,W) in [-1,1] -> logits and feature maps for every scale."""
        check_shape("pictures", pictures, (None, 3, None, None), self.multiple)
        judgement = Judgement([], [])
        for number, judge in enumerate(self.judges):
            if number:
                pictures = F.avg_pool2d(pictures, 2)
            logits, maps = judge(pictures)
            judgement.logits.append(logits)
            judgement.features.append(maps)
        return judgement
