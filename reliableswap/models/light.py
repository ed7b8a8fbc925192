"""LightGenerator: our own generator, small enough for a CPU; it refines the source's warped texture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import register_to_config
from .generator import Generator, GeneratorOutput, modulated_norm

_STYLE = 256  # width of the vector every block reads the identity from
_SLOPE = 0.2
_LUMA = (0.299, 0.587, 0.114)
_LIGHT = 8  # cells a side on which light changes
_BLACK = 0.06  # lightness, of 2, below which a colour says nothing


class IdentityStyle(nn.Module):
    """(B,D) -> (B,256): the identity as all the blocks see it."""

    def __init__(self, vector_size: int) -> None:
        super().__init__()
        # A unit vector's numbers shrink with its length; this brings them to about 1 whatever D is.
        self.gain = vector_size**0.5
        self.first = nn.Linear(vector_size, _STYLE)
        self.second = nn.Linear(_STYLE, _STYLE)

    def forward(self, identity: Tensor) -> Tensor:
        return self.second(F.leaky_relu(self.first(identity * self.gain), _SLOPE))


class ModulatedConv(nn.Module):
    """(B,C,H,W), (B,256) -> (B,C',H,W): a convolution whose channels get their mean and spread from the style."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.style = nn.Linear(_STYLE, 2 * after)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.style(style).chunk(2, dim=1)
        return modulated_norm(self.conv(x), scale, shift, eps=1e-5)


class IdentityBlock(nn.Module):
    """(B,C,H,W), (B,256) -> (B,C,H,W): two modulated convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ModulatedConv(channels, channels)
        self.second = ModulatedConv(channels, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x, style), _SLOPE)
        return x + self.second(y, style)


class Down(nn.Module):
    """(B,C,H,W) -> (B,C',H/2,W/2)."""

    def __init__(self, before: int, after: int, convs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before if n == 0 else after, after, 3, stride=2 if n == 0 else 1, padding=1)
            for n in range(convs)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(max(after // 12, 1), after) for _ in range(convs))

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(_group_norm(conv(x), norm), _SLOPE)
        return x


def _group_norm(x: Tensor, norm: nn.Module) -> Tensor:
    """The norm's answer, worked out in float32: on CPUs its kernel for bfloat16 takes twice as long."""
    assert isinstance(norm, nn.GroupNorm)
    weight, bias = norm.weight.float(), norm.bias.float()
    return F.group_norm(x.float(), norm.num_groups, weight, bias, norm.eps).to(x.dtype)


class Gate(nn.Module):
    """(B,C,H,W) twice -> (B,C,H,W): lets through the part of the skip that the decoder asks for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return x + skip * torch.sigmoid(self.conv(torch.cat([x, skip], dim=1)))


class Up(nn.Module):
    """(B,C,H,W), skip (B,C',2H,2W), (B,256) -> (B,C',2H,2W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.widen = ModulatedConv(before, after)
        self.gate = Gate(after)
        self.mix = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        x = self.widen(F.interpolate(x, scale_factor=2.0, mode="nearest"), style)
        x = self.gate(F.leaky_relu(x, _SLOPE), skip)
        return F.leaky_relu(self.mix(x), _SLOPE)


class LightGenerator(Generator):
    """(B,3,H,W) target, (B,D) identity, (B,4,H,W) guidance -> GeneratorOutput; H and W divisible by 8.

    Guidance is the source's texture warped onto the target's mesh, in [-1,1], and where it is valid, in [0,1];
    None is the same as `no_guidance`. The image's lightness is its own. Its colours are the guidance's in the target's
    light (where nothing is valid, the target's), in averages of `target_colours` cells a side; 0 leaves them free.
    Encoders tell people by stains of colour too, and a network that is free to would make some. The mask is its own
    output, to be supervised: the image is not blended with the target in here, because a network that may blend
    learns to copy its target. `sizes` are the sides of crops to use it at, which are those it learnt at; it takes
    any. `away` is how much of the target's vector the engine takes off the source's before it asks for a face.
    """

    multiple = 8

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int] = (24, 48, 96, 192),
        block_count: int = 6,
        guidance_channels: int = 4,
        identity_dim: int = 128,
        fixer_dim: int = 0,
        template: str = "arcface_128",
        value_range: Sequence[float] = (-1.0, 1.0),
        identity_encoder: str = "",
        identity_checksum: str = "",
        fixer_checksum: str = "",
        target_colours: int = 0,
        sizes: Sequence[int] = (128,),
        away: float = 0.35,
        held_out: float = 10.0,
    ) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ValueError(
                f"channels {tuple(channels)} name {len(channels)} levels; LightGenerator has four"
            )
        if guidance_channels not in (0, 4):
            raise ValueError(
                f"guidance_channels is {guidance_channels}; choose 4 (texture and validity) or 0"
            )
        if not sizes or any(size < self.multiple or size % self.multiple for size in sizes):
            raise ValueError(f"sizes {tuple(sizes)} hold one that {self.multiple} does not divide")
        self.guidance_channels, self.target_colours = guidance_channels, target_colours
        self.vector_size = identity_dim + fixer_dim
        full, half, quarter, eighth = channels
        self.style = IdentityStyle(self.vector_size)
        self.stem = nn.Conv2d(3 + guidance_channels, full, 3, padding=1)
        self.down = nn.ModuleList([Down(full, half, 2), Down(half, quarter, 2), Down(quarter, eighth, 1)])
        self.blocks = nn.ModuleList(IdentityBlock(eighth) for _ in range(block_count))
        self.up = nn.ModuleList([Up(eighth, quarter), Up(quarter, half), Up(half, full)])
        self.head = nn.Conv2d(full, 4, 3, padding=1)

    def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> GeneratorOutput:
        """(B,3,H,W) in [-1,1], (B,D), (B,4,H,W) -> image (B,3,H,W) in [-1,1], mask (B,1,H,W) and its logits."""
        self.check_inputs(target, identity, guidance)
        if guidance is None and self.guidance_channels:
            guidance = no_guidance(target)
        style = self.style(identity)
        inputs = target if guidance is None else torch.cat([target, guidance], dim=1)
        x = F.leaky_relu(self.stem(inputs), _SLOPE)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for block in self.blocks:
            x = block(x, style)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip, style)
        image, logits = self.head(x).split((3, 1), dim=1)
        image = torch.tanh(image)
        if self.target_colours:
            image = with_colours_of(image, expected_colours(target, guidance), self.target_colours)
        return GeneratorOutput(image=image, mask=torch.sigmoid(logits), mask_logits=logits)


def no_guidance(target: Tensor) -> Tensor:
    """(B,3,H,W) -> (B,4,H,W): guidance in which nothing is valid, as training has it: texture -1, validity 0."""
    return torch.cat([torch.full_like(target, -1), torch.zeros_like(target[:, :1])], dim=1)


def expected_colours(target: Tensor, guidance: Tensor | None) -> Tensor:
    """(B,3,H,W), (B,4,H,W) in [-1,1] -> the target, with the guidance where that is valid, in the target's light."""
    if guidance is None:
        return target
    texture, valid = guidance[:, :3], guidance[:, 3:]
    away = _slow(torch.cat([(target - texture) * valid, valid], 1), _LIGHT)
    light = F.interpolate(
        away[:, :3] / away[:, 3:].clamp(min=0.02),
        size=target.shape[-2:],
        mode="bilinear",
        align_corners=False,
    )
    return target + valid * (texture + light - target)


def with_colours_of(made: Tensor, reference: Tensor, cells: int) -> Tensor:
    """(B,3,H,W) twice in [-1,1] -> the made picture with the reference's slow colours; its own lightness stays."""
    ours, theirs = _slow(made.float() + 1, cells), _slow(reference.float() + 1, cells)
    luma = ours.new_tensor(_LUMA)[:, None, None]

    def lightness(picture: Tensor) -> Tensor:
        return (picture * luma).sum(1, keepdim=True)

    goal = theirs * (lightness(ours) / lightness(theirs).clamp(min=_BLACK))
    change = F.interpolate(goal - ours, size=made.shape[-2:], mode="bilinear", align_corners=False)
    return (made + change.to(made.dtype)).clamp(-1, 1)


def _slow(picture: Tensor, cells: int) -> Tensor:
    """(B,3,H,W) -> (B,3,cells,cells) its averages, each with those around it."""
    small = F.adaptive_avg_pool2d(picture, cells)
    return F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
