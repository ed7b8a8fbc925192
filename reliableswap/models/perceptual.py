"""PerceptualFeatures: a frozen EfficientNet-Lite0, whose maps judge pictures in losses and discriminators."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

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
FEATURE_CHANNELS = (24, 40, 112, 320)  # at strides 4, 8, 16 and 32
_TAPS = (2, 4, 10, 15)  # the last block at each of those strides


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads, more at the end where it is odd; for even sizes if strided."""

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        before = total // 2
        return super().forward(F.pad(x, (before, total - before, before, total - before)))


def _conv_norm(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = SameConv(before, after, kernel, stride, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after, eps=1e-3))


class MBConv(nn.Module):
    """(B,C,H,W) -> (B,C',H/stride,W/stride): widen, filter each channel, narrow, and the shortcut if it fits."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.expand = _conv_norm(before, wide, 1) if expansion > 1 else None
        self.depthwise = _conv_norm(wide, wide, kernel, stride, groups=wide)
        self.project = _conv_norm(wide, after, 1)
        self.shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class PerceptualFeatures(Network):
    """(B,3,H,W) RGB in [-1,1] -> four feature maps at strides 4, 8, 16, 32; never trained, but let gradients by.

    The weights come from `reliableswap.convert.pretrained_perceptual_features()`.
    """

    @register_to_config
    def __init__(self) -> None:
        super().__init__()
        # Pixels of 0..255 minus 127, over 128.
        self.normalise = Normalise((127 / 255,) * 3, (128 / 255,) * 3)
        self.stem = _conv_norm(3, 32, 3, stride=2)
        blocks, before = [], 32
        for after, expansion, kernel, first_stride, repeats in _GROUPS:
            for number in range(repeats):
                blocks.append(MBConv(before, after, expansion, kernel, first_stride if number == 0 else 1))
                before = after
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode: its norms' statistics are part of the weights."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B,3,H,W) in [-1,1], sides divisible by 32 -> (B,24,H/4,W/4), (B,40,…/8), (B,112,…/16), (B,320,…/32)."""
        check_shape("pictures", pictures, (None, 3, None, None), 32)
        x = F.relu6(self.stem(self.normalise(pictures)))
        maps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _TAPS:
                maps.append(x)
        return maps
