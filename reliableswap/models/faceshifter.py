"""FaceShifterGenerator: AEI-Net, which combines an identity with the target's attributes at every resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import check_shape, register_to_config
from .generator import Generator, GeneratorOutput
from .norms import per_channel_norm

SIZES = (64, 96, 128, 192, 256, 384, 512)  # a power of two times 2 or 3


class AttributeEncoder(nn.Module):
    """(B,3,S,S) -> attribute maps from 2x2 or 3x3 up to SxS: a U-Net that returns every level of its decoder."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        before = [3, *widths[:-1]]
        self.down = nn.ModuleList(_conv(i, o) for i, o in zip(before, widths, strict=True))
        self.up = nn.ModuleList()
        wide = widths[-1]
        for width in reversed(widths[:-1]):
            self.up.append(_deconv(wide, width))
            wide = 2 * width  # with the skip concatenated
        # The widths of all maps; the last one is the map before it, upsampled to twice the size.
        self.map_widths = [widths[-1], *(2 * width for width in reversed(widths[:-1])), wide]

    def forward(self, target: Tensor) -> list[Tensor]:
        skips = []
        x = target
        for down in self.down:
            x = down(x)
            skips.append(x)
        maps = [x]
        for up, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            maps.append(torch.cat([up(maps[-1]), skip], dim=1))
        maps.append(_upsampled(maps[-1]))
        return maps


class AADLayer(nn.Module):
    """(B,C,h,w), attributes (B,A,h,w), identity (B,D) -> (B,C,h,w): a predicted mask blends both modulations."""

    def __init__(self, channels: int, attribute_channels: int, vector_size: int) -> None:
        super().__init__()
        self.attribute_scale = nn.Conv2d(attribute_channels, channels, 1)
        self.attribute_shift = nn.Conv2d(attribute_channels, channels, 1)
        self.identity_scale = nn.Linear(vector_size, channels)
        self.identity_shift = nn.Linear(vector_size, channels)
        self.mask = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor, attributes: Tensor, identity: Tensor) -> Tensor:
        x = per_channel_norm(x, eps=1e-5)
        by_attributes = self.attribute_scale(attributes) * x + self.attribute_shift(attributes)
        scale, shift = self.identity_scale(identity), self.identity_shift(identity)
        by_identity = scale[:, :, None, None] * x + shift[:, :, None, None]
        mask, dtype = torch.sigmoid(self.mask(x)), by_identity.dtype
        # lerp takes one dtype, and autocast on GPUs does not cast its inputs.
        return torch.lerp(by_attributes.to(dtype), by_identity, mask.to(dtype))


class AADBlock(nn.Module):
    """(B,C,h,w) -> (B,C',h,w): two AAD layers with convolutions, and a third on the shortcut if C' differs from C."""

    def __init__(self, before: int, after: int, attribute_channels: int, vector_size: int) -> None:
        super().__init__()

        def step(width: int) -> tuple[AADLayer, nn.Conv2d]:
            layer = AADLayer(before, attribute_channels, vector_size)
            return layer, nn.Conv2d(before, width, 3, padding=1, bias=False)

        self.aad1, self.conv1 = step(before)
        self.aad2, self.conv2 = step(after)
        self.widens = before != after
        if self.widens:
            self.aad3, self.conv3 = step(after)

    def forward(self, x: Tensor, attributes: Tensor, identity: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.aad1(x, attributes, identity)))
        y = self.conv2(F.relu(self.aad2(y, attributes, identity)))
        if self.widens:
            x = self.conv3(F.relu(self.aad3(x, attributes, identity)))
        return x + y


class FaceShifterGenerator(Generator):
    """(B,3,S,S), (B,D) -> GeneratorOutput whose mask is all ones.

    S is 256 (eight attribute maps) or 512 (nine) as published. The same layout works for every S of SIZES: S is halved
    down to 2x2 or 3x3, with an attribute map for each level. `channels` is the width of the widest maps (1024 as
    published); the other widths follow from it. `coarse_heads`: see SimSwapGenerator.
    """

    @register_to_config
    def __init__(
        self,
        size: int = 256,
        channels: int = 1024,
        identity_dim: int = 512,
        fixer_dim: int = 0,
        template: str = "arcface_128",
        value_range: Sequence[float] = (-1.0, 1.0),
        identity_encoder: str = "",
        identity_checksum: str = "",
        fixer_checksum: str = "",
        held_out: float = 10.0,
        coarse_heads: int = 0,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(
                f"FaceShifterGenerator has no variant for {size} px; choose one of {', '.join(map(str, SIZES))}"
            )
        self.size = size
        self.vector_size = identity_dim + fixer_dim
        halvings = (size // 2).bit_length() - 1  # down to `base` pixels: 7 for 256 px, 8 for 512 px
        base = size >> halvings
        if channels % (1 << (halvings - 2)):
            raise ValueError(
                f"channels is {channels}; FaceShifterGenerator for {size} px halves it {halvings - 2} times, so "
                f"choose a multiple of {1 << (halvings - 2)}"
            )
        # As published: 32, 64, ..., 1024, 1024 for 256 px, and one level of 16 before them for 512 px.
        widths = [channels >> max(halvings - 2 - level, 0) for level in range(halvings)]
        self.encoder = AttributeEncoder(widths)
        maps = self.encoder.map_widths
        # The first three blocks keep the full width; each later one has the width of the attribute map at its size.
        outs = [channels] * 3 + maps[3:-1] + [3]
        ins = [channels, *outs[:-1]]
        self.seed = nn.ConvTranspose2d(self.vector_size, channels, base)
        self.blocks = nn.ModuleList(
            AADBlock(i, o, a, self.vector_size) for i, o, a in zip(ins, outs, maps, strict=True)
        )
        if not 0 <= coarse_heads < len(outs):
            raise ValueError(f"coarse_heads is {coarse_heads}; {size} px allow 0 to {len(outs) - 1}")
        # The n-th head is for 1/2^n of the size.
        self.coarse = nn.ModuleList(nn.Conv2d(outs[-1 - n], 3, 1) for n in range(1, coarse_heads + 1))

    def attributes(self, target: Tensor) -> list[Tensor]:
        """(B,3,S,S) -> the attribute maps z_att, coarse to fine, for the attribute loss."""
        check_shape("target", target, (None, 3, self.size, self.size))
        return self.encoder(target)

    def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> GeneratorOutput:
        """(B,3,S,S) in [-1,1], (B,D) -> image of the same shape in [-1,1], mask of ones."""
        self.check_inputs(target, identity, guidance)
        maps = self.encoder(target)
        x = self.seed(identity[:, :, None, None])
        coarse = []
        for number, (block, attributes) in enumerate(zip(self.blocks, maps, strict=True)):
            x = block(x if number == 0 else _upsampled(x), attributes, identity)
            level = len(self.blocks) - 1 - number
            if self.training and 0 < level <= len(self.coarse):
                coarse.append(torch.tanh(self.coarse[level - 1](x)))
        return self.without_mask(torch.tanh(x), tuple(reversed(coarse)) or None)


def _upsampled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


def _conv(before: int, after: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.LeakyReLU(0.1, inplace=True))


def _deconv(before: int, after: int) -> nn.Sequential:
    conv = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.LeakyReLU(0.1, inplace=True))
