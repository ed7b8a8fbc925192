"""FaceDetector: a small, fully convolutional, anchor-free face detector with five points per face."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Network, check_shape, register_to_config

STRIDES = (8, 16, 32)


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class SeparableBlock(nn.Module):
    """(B,C,H,W) -> (B,C,H,W): a residual depthwise 5x5 and pointwise pair: a large receptive field at low cost."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False), nn.BatchNorm2d(channels)
        )
        self.pointwise = conv_bn(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(self.depthwise(x))


class FaceDetector(Network):
    """(B,3,H,W) in [-1,1], H and W divisible by 32 -> (B,N,15): logit, centre, log size and five points, in pixels.

    Each of three levels of cells (strides 8, 16, 32) detects faces of one range of sizes; a cell's logit says whether a
    face's centre lies in it. Suppressing overlapping detections is up to the caller (`faces.detect`).
    """

    @register_to_config
    def __init__(
        self,
        stem_channels: int = 24,
        channels: tuple[int, int, int] = (48, 80, 112),
        neck_channels: int = 48,
        blocks: tuple[int, int, int] = (1, 2, 3),
        value_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        first, second, third = channels
        self.stem = nn.Sequential(  # 6x6 patches with stride 4: the finest cells are 8 px
            nn.Conv2d(3, stem_channels, 6, 4, 1, bias=False),
            nn.BatchNorm2d(stem_channels),
            nn.ReLU(inplace=True),
        )
        self.stage8 = self._stage(stem_channels, first, blocks[0])
        self.stage16 = self._stage(first, second, blocks[1])
        self.stage32 = self._stage(second, third, blocks[2])
        self.laterals = nn.ModuleList([nn.Conv2d(width, neck_channels, 1) for width in channels])
        self.smooth = nn.ModuleList([SeparableBlock(neck_channels) for _ in STRIDES])
        self.heads = nn.ModuleList([self._head(neck_channels) for _ in STRIDES])

    @staticmethod
    def _head(inputs: int) -> nn.Conv2d:
        head = nn.Conv2d(inputs, 15, 3, padding=1)
        assert head.bias is not None
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
        nn.init.constant_(head.bias[:1], -4.6)  # start from "no face", as RetinaNet does: few cells hold one
        return head

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(
            conv_bn(inputs, outputs, 3, 2), *(SeparableBlock(outputs) for _ in range(blocks))
        )

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B,3,H,W) -> the raw head maps (B,15,H/s,W/s) for each stride s of STRIDES."""
        check_shape("image", image, (None, 3, None, None), multiple=32)
        c8 = self.stage8(self.stem(image))
        c16 = self.stage16(c8)
        c32 = self.stage32(c16)
        features: list[Tensor] = []
        above: Tensor | None = None
        for level in (2, 1, 0):
            x = self.laterals[level]((c8, c16, c32)[level])
            if above is not None:
                x = x + F.interpolate(above, scale_factor=2, mode="nearest")
            above = self.smooth[level](x)
            features.insert(0, above)
        return [head(x) for head, x in zip(self.heads, features, strict=True)]

    @staticmethod
    def decode(maps: list[Tensor]) -> Tensor:
        """Raw maps -> (B,N,15): logit, centre x and y, log width and height, five points x and y, in input pixels."""
        answers = []
        for stride, level in zip(STRIDES, maps, strict=True):
            rows, columns = level.shape[2:]
            ys, xs = torch.meshgrid(
                torch.arange(rows, device=level.device),
                torch.arange(columns, device=level.device),
                indexing="ij",
            )
            answers.append(_in_pixels(level.permute(0, 2, 3, 1), xs, ys, stride).flatten(1, 2))
        return torch.cat(answers, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.decode(self.maps(image))

    def above(self, image: Tensor, logit: float) -> Tensor:
        """(1,3,H,W) -> (M,15): only the detections above a logit, which is faster than decoding all."""
        answers = []
        for stride, level in zip(STRIDES, self.maps(image), strict=True):
            ys, xs = torch.nonzero(level[0, 0] > logit, as_tuple=True)
            answers.append(_in_pixels(level[0, :, ys, xs].T, xs, ys, stride))
        return torch.cat(answers)


def _in_pixels(raw: Tensor, xs: Tensor, ys: Tensor, stride: int) -> Tensor:
    """(...,15) raw values of the cells at columns xs and rows ys -> the same in input pixels."""
    raw = raw.float()
    centres = torch.stack([xs, ys], -1).float() * stride + (stride - 1) / 2
    unit = 4.0 * stride  # a typical face is four cells wide, so raw values are near one
    centre = centres + raw[..., 1:3] * unit
    log_size = raw[..., 3:5] + math.log(unit)
    points = centres.repeat(*[1] * (centres.ndim - 1), 5) + raw[..., 5:] * unit
    return torch.cat([raw[..., :1], centre, log_size, points], -1)
