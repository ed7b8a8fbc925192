"""MobileFaceNet: inverted bottlenecks and one global depthwise convolution, about a million parameters.

The layer names are those of the published 128-d encoder, so that its weights load unchanged.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Groups of bottlenecks: (channels out, expansion, repeats, stride of the first).
_GROUPS = ((64, 2, 5, 2), (128, 4, 1, 2), (128, 2, 6, 1), (128, 4, 1, 2), (128, 2, 2, 1))


def _conv_bn(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU6(inplace=True))


class Bottleneck(nn.Module):
    """(B,C,H,W) -> (B,C',H/stride,W/stride): widen, filter each channel, narrow; a shortcut if shapes allow."""

    def __init__(self, before: int, after: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.conv = nn.Sequential(
            _conv_bn(before, wide, 1),
            _conv_bn(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class SeparableConv(nn.Module):
    """(B,C,H,W) -> (B,C,H,W): a depthwise and a pointwise convolution, each with norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.pointwise(F.relu(self.bn1(self.depthwise(x))))))


class MobileFaceNet(nn.Module):
    """(B,3,size,size), normalised -> (B,embedding_size), not normalised."""

    def __init__(self, embedding_size: int, size: int) -> None:
        super().__init__()
        self.conv1 = _conv_bn(3, 64, 3, stride=2)
        self.dw_conv = SeparableConv(64)
        bottlenecks, before = [], 64
        for after, expansion, repeats, first_stride in _GROUPS:
            for number in range(repeats):
                bottlenecks.append(Bottleneck(before, after, expansion, first_stride if number == 0 else 1))
                before = after
        self.features = nn.Sequential(*bottlenecks)
        self.conv2 = _conv_bn(before, 512, 1)
        side = -(-size // 16)
        self.gdconv = nn.Sequential(
            OrderedDict(depthwise=nn.Conv2d(512, 512, side, groups=512, bias=False), bn=nn.BatchNorm2d(512))
        )
        self.conv3 = nn.Conv2d(512, embedding_size, 1)
        self.bn = nn.BatchNorm2d(embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.features(self.dw_conv(self.conv1(x))))
        return torch.flatten(self.bn(self.conv3(self.gdconv(x))), 1)
