"""PerceptualFeatures: a frozen EfficientNet-Lite; losses, discriminators and metrics compare its feature maps."""

from __future__ import annotations

import math
from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.errors import ReliableSwapError

from .base import Network, check_shape, register_to_config
from .identity import Normalise

# EfficientNet-Lite0 (Google's TPU repository): channels out, expansion, kernel, stride of the first, repeats.
_GROUPS = (
    (16, 1, 3, 1, 1),
    (24, 6, 3, 2, 2),
    (40, 6, 5, 2, 2),
    (80, 6, 3, 2, 3),
    (112, 6, 5, 1, 3),
    (192, 6, 5, 2, 4),
    (320, 6, 3, 1, 1),
)
# Factors of width and depth; the first and the last group keep their depth.
VARIANTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
_TAPPED = (1, 2, 4, 6)  # the last group at strides 4, 8, 16 and 32


def _widened(channels: int, factor: float) -> int:
    """Scale the channels and round to a multiple of 8, down by at most a tenth, as EfficientNet does."""
    exact = channels * factor
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, for even sizes if strided."""

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        before = total // 2
        return super().forward(F.pad(x, (before, total - before, before, total - before)))


def conv_norm(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """(B,C,H,W) -> (B,C',H/stride,W/stride): a convolution without bias, and its batch norm."""
    conv = SameConv(before, after, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after, eps=1e-3))


class MBConv(nn.Module):
    """(B,C,H,W) -> (B,C',H/stride,W/stride): an inverted bottleneck, with a shortcut if shapes allow."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = conv_norm(before, wide, 1) if expansion > 1 else None
        self.depthwise = conv_norm(wide, wide, kernel, stride, groups=wide)
        self.project = conv_norm(wide, after, 1)
        self.shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class PerceptualFeatures(Network):
    """(B,3,H,W) RGB in [-1,1] -> four feature maps at strides 4, 8, 16, 32; gradients flow to the input only.

    The weights come from `reliableswap.convert.perceptual.pretrained_perceptual_features()`. variant: 0, 1 or 2 of
    EfficientNet-Lite. Losses use 0, so that metrics with the others are independent of all losses.
    """

    @register_to_config
    def __init__(self, variant: int = 0) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ReliableSwapError(
                f"unknown variant {variant} of EfficientNet-Lite; choose one of {[*VARIANTS]}"
            )
        width, depth = VARIANTS[variant]
        # (pixel - 127) / 128 for pixels in 0..255.
        self.normalise = Normalise((127 / 255,) * 3, (128 / 255,) * 3)
        self.stem = conv_norm(3, 32, 3, stride=2)
        blocks: list[MBConv] = []
        before, self.channels, self.taps = 32, [], []
        for group, (channels, expansion, kernel, first_stride, repeats) in enumerate(_GROUPS):
            after, ends = _widened(channels, width), group in (0, len(_GROUPS) - 1)
            for number in range(repeats if ends else math.ceil(depth * repeats)):
                blocks.append(MBConv(before, after, expansion, kernel, first_stride if number == 0 else 1))
                before = after
            if group in _TAPPED:
                self.channels.append(after)
                self.taps.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, so that the batch norms keep their statistics."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B,3,H,W) in [-1,1], sides divisible by 32 -> maps at strides 4, 8, 16, 32 with `channels` channels."""
        check_shape("pictures", pictures, (None, 3, None, None), 32)
        x = F.relu6(self.stem(self.normalise(pictures)))
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return maps
