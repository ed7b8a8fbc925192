"""VisibilityNet: classifies every pixel of a face crop: skin, hair, glasses, something in front and so on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Network, check_shape, register_to_config
from .face_classes import CLASSES
from .identity import Normalise
from .perceptual import MBConv, PerceptualFeatures, conv_norm

# EfficientNet-Lite0 down to stride 16: channels out, expansion, kernel, stride of the first, repeats.
_STAGES = ((16, 1, 3, 1, 1), (24, 6, 3, 2, 2), (40, 6, 5, 2, 2), (80, 6, 3, 2, 3))


class _Join(nn.Module):
    """(B,C,h,w) coarse and (B,C',2h,2w) fine -> (B,C'',2h,2w)."""

    def __init__(self, coarse: int, fine: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(coarse + fine, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        larger = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return F.silu(self.conv(torch.cat([larger, fine], 1)))


class VisibilityNet(Network):
    """(B,3,128,128) in [-1,1], upright crops of faces -> (B,10,128,128) logits of CLASSES.

    A U-Net. Its encoder is the beginning of EfficientNet-Lite0, so that it can start from pretrained weights;
    `start_from` copies them.
    """

    @register_to_config
    def __init__(self, size: int = 128, widths: tuple[int, ...] = (16, 48, 64, 96), deep: int = 128) -> None:
        super().__init__()
        self.normalise = Normalise((127 / 255,) * 3, (128 / 255,) * 3)
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.stem = conv_norm(3, 32, 3, stride=2)
        stages, before = [], 32
        for after, expansion, kernel, stride, repeats in _STAGES:
            blocks = [MBConv(before, after, expansion, kernel, stride)]
            blocks += [MBConv(after, after, expansion, kernel, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*blocks))
            before = after
        self.stages = nn.ModuleList(stages)
        self.context = nn.ModuleList([conv_norm(before, deep, 3, stride=2), conv_norm(deep, deep, 3)])
        fine = [8, *(stage[0] for stage in _STAGES)]
        outputs = [12, *widths]
        coarse = [*widths, deep]
        self.joins = nn.ModuleList(
            _Join(c, f, o) for c, f, o in reversed(list(zip(coarse, fine, outputs, strict=True)))
        )
        self.last = nn.Conv2d(outputs[0], len(CLASSES), 1)

    def forward(self, picture: Tensor) -> Tensor:
        """(B,3,128,128) in [-1,1] -> (B,10,128,128) logits."""
        size = self.config["size"]
        check_shape("picture", picture, (None, 3, size, size))
        x = self.normalise(picture)
        maps = [F.silu(self.first(x))]
        x = F.relu6(self.stem(x))
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        for conv in self.context:
            x = F.silu(conv(x))
        for join in self.joins:
            x = join(x, maps.pop())
        logits: Tensor = self.last(x)
        return logits

    def start_from(self, features: PerceptualFeatures) -> None:
        """Copy the encoder's weights from EfficientNet-Lite0's features."""
        self.stem.load_state_dict(features.stem.state_dict())
        blocks = iter(features.blocks)
        for stage in self.stages:
            assert isinstance(stage, nn.Sequential)
            for block in stage:
                block.load_state_dict(next(blocks).state_dict())
