"""SimSwapGenerator: SimSwap's network with its identity injection module (IIM), as published at 224, 256 and 512."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from .base import register_to_config
from .generator import Generator, GeneratorOutput
from .norms import modulated_norm


class IdentityBlock(nn.Module):
    """(B,C,H,W), (B,D) -> (B,C,H,W): two convolutions, each followed by AdaIN with the identity's style."""

    def __init__(self, channels: int, vector_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.style1 = nn.Linear(vector_size, 2 * channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.style2 = nn.Linear(vector_size, 2 * channels)

    def forward(self, x: Tensor, identity: Tensor) -> Tensor:
        y = F.relu(_restyle(self.conv1(x), self.style1(identity)))
        return x + _restyle(self.conv2(y), self.style2(identity))


def _restyle(x: Tensor, style: Tensor) -> Tensor:
    scale, shift = style.chunk(2, dim=1)
    return modulated_norm(x, scale, shift, eps=1e-8)


class SimSwapGenerator(Generator):
    """(B,3,H,W), (B,D) -> GeneratorOutput whose mask is all ones.

    `channels` is the width at full resolution. `levels` is the number of halvings: 3 for 224 and 256 px, 4 for 512 px.
    The width doubles with each, up to eight times `channels` (512 as published). `sizes` are the crop sizes that it was
    trained at. `coarse_heads` (0 as published) is the number of heads that in training also output the picture at 1/2,
    1/4, ... of the size, so that losses reach the coarser levels directly.
    """

    @register_to_config
    def __init__(
        self,
        channels: int = 64,
        levels: int = 3,
        block_count: int = 9,
        identity_dim: int = 512,
        fixer_dim: int = 0,
        template: str = "arcface_128",
        value_range: Sequence[float] = (-1.0, 1.0),
        identity_encoder: str = "",
        identity_checksum: str = "",
        fixer_checksum: str = "",
        held_out: float = 10.0,
        sizes: Sequence[int] = (128,),
        coarse_heads: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= coarse_heads < levels:
            raise ValueError(f"coarse_heads is {coarse_heads}; {levels} levels allow 0 to {levels - 1}")
        self.multiple = 2**levels
        self.vector_size = identity_dim + fixer_dim
        widths = [channels * min(2**level, 8) for level in range(levels + 1)]
        steps = list(pairwise(widths))
        first = nn.Conv2d(3, channels, 7, padding=3, padding_mode="reflect")
        self.stem = nn.Sequential(first, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.down = nn.ModuleList(_conv(before, after, stride=2) for before, after in steps)
        self.blocks = nn.ModuleList(IdentityBlock(widths[-1], self.vector_size) for _ in range(block_count))
        self.up = nn.ModuleList(_conv(after, before, stride=1) for before, after in reversed(steps))
        self.head = nn.Conv2d(channels, 3, 7, padding=3, padding_mode="reflect")
        # The n-th head is for 1/2^n of the size.
        self.coarse = nn.ModuleList(
            nn.Conv2d(widths[level], 3, 3, padding=1, padding_mode="reflect")
            for level in range(1, coarse_heads + 1)
        )

    def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> GeneratorOutput:
        """(B,3,H,W) in the config's value range, (B,D) -> image of the same shape, mask of ones."""
        self.check_inputs(target, identity, guidance)
        x = self.stem(target)
        for down in self.down:
            x = down(x)
        for block in self.blocks:
            x = block(x, identity)
        coarse = []
        for level, up in zip(reversed(range(len(self.up))), self.up, strict=True):
            x = up(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
            if self.training and 0 < level <= len(self.coarse):
                coarse.append(self.coarse[level - 1](x))
        return self.without_mask(self.head(x), tuple(reversed(coarse)) or None)


def _conv(before: int, after: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, stride, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
