"""The levels of a comb autoencoder: the paper's, and light ones that learn faster at a quarter of the cost.

The paper's level has two 3x3 convolutions at its own side. A light one works at half its side, on blocks of 2x2 pixels,
with residual blocks initialised to the identity, so that a network without norms learns fast from the first step.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.errors import ReliableSwapError

Blocks = Literal["paper", "light"]

LARGEST = 1024
MAP = 4  # side of the smallest map
SLOPE = 0.2  # of the leaky ReLU
_GROUPS = 8  # of group norm
_BLOCK = 2  # side of the pixel blocks that light levels work on
_NORMS = ("none", "batch", "group")


def coarsest(blocks: str) -> int:
    """Return the side of the smallest level, whose map has 4x4 places."""
    if blocks not in ("paper", "light"):
        raise ReliableSwapError(f"unknown blocks {blocks!r}; choose one of paper, light")
    return MAP if blocks == "paper" else MAP * _BLOCK


def sides(size: int, blocks: str = "paper") -> tuple[int, ...]:
    """Return the sides of the levels: 4, 8, ... size; light ones begin at 8."""
    first = coarsest(blocks)
    found = tuple(2**k for k in range(2, 11) if first <= 2**k <= size)
    if not found or found[-1] != size:
        raise ReliableSwapError(f"size is {size}; choose a power of two from {first} to {LARGEST}")
    return found


def channels_at(side: int, base: int, most: int) -> int:
    """Return the channels of a level; the paper's have 16 at 1024 px and 512 from 32 px down."""
    return min(most, base * LARGEST // side)


def from_pixels(blocks: str, channels: int) -> nn.Module:
    """(B,3,S,S) -> (B,channels,S,S), or half that side for light levels."""
    if blocks == "paper":
        return initialised(nn.Conv2d(3, channels, 1))
    inside = 3 * _BLOCK**2
    return nn.Sequential(nn.PixelUnshuffle(_BLOCK), initialised(nn.Conv2d(inside, channels, 3, padding=1)))


class ToPixels(nn.Module):
    """(B,channels,S,S), or half that side for light levels -> (B,3,S,S); its first output is the colour of its bias."""

    def __init__(self, blocks: str, channels: int) -> None:
        super().__init__()
        light = blocks == "light"
        self.times = _BLOCK if light else 1
        self.conv = nn.Conv2d(channels, 3 * self.times**2, 3 if light else 1, padding=int(light))
        nn.init.normal_(self.conv.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.pixel_shuffle(x, self.times) if self.times > 1 else x

    def init_colour(self, colour: Tensor) -> None:
        """Set the initial colour (3,)."""
        assert self.conv.bias is not None
        self.conv.bias.copy_(colour.repeat_interleave(self.times**2))


def encoder_level(blocks: str, here: int, below: int | None, norm: str) -> nn.Sequential:
    """(B,here,S,S) -> (B,below,S/2,S/2); the coarsest level has None below and keeps its side and channels."""
    if blocks == "paper":
        level = _two_convolutions(here, here, below or here, norm)
        if below is not None:
            level.add_module("down", nn.AvgPool2d(2))
        return level
    layers: list[tuple[str, nn.Module]] = [("residual", Residual(here, norm))]
    if below is not None:
        layers += _convolution("down", nn.Conv2d(here, below, 3, 2, 1, bias=norm == "none"), norm)
    return nn.Sequential(OrderedDict(layers))


def decoder_level(blocks: str, below: int | None, here: int, norm: str) -> nn.Sequential:
    """(B,below,S/2,S/2) -> (B,here,S,S); the coarsest level has None below and keeps its side and channels."""
    layers: list[tuple[str, nn.Module]] = []
    if blocks == "paper":
        if below is not None:
            layers.append(("up", nn.Upsample(scale_factor=2, mode="nearest")))
        layers += _two_convolutions(below or here, here, here, norm).named_children()
        return nn.Sequential(OrderedDict(layers))
    if below is not None:
        layers += _convolution("widen", nn.Conv2d(below, 4 * here, 1, bias=norm == "none"), norm)
        layers.append(("up", nn.PixelShuffle(2)))
    layers.append(("residual", Residual(here, norm)))
    return nn.Sequential(OrderedDict(layers))


class Residual(nn.Module):
    """(B,C,S,S) -> the same: a residual block of two 3x3 convolutions, initialised to the identity."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        first = nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")
        self.inside = nn.Sequential(OrderedDict(_convolution("conv1", first, norm)))
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.inside(x))


def initialised(layer: nn.Conv2d) -> nn.Conv2d:
    """Initialise the layer so that a leaky ReLU keeps the variance, and return it."""
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _two_convolutions(before: int, between: int, after: int, norm: str) -> nn.Sequential:
    """(B,before,S,S) -> (B,after,S,S): two 3x3 convolutions, each with its norm and a leaky ReLU."""
    layers: list[tuple[str, nn.Module]] = []
    for number, (wide, out) in enumerate(((before, between), (between, after)), 1):
        layers += _convolution(f"conv{number}", nn.Conv2d(wide, out, 3, padding=1, bias=norm == "none"), norm)
    return nn.Sequential(OrderedDict(layers))


def _convolution(name: str, layer: nn.Conv2d, norm: str) -> list[tuple[str, nn.Module]]:
    """Return a convolution, its norm and its leaky ReLU, with names that follow from the convolution's."""
    number = name.removeprefix("conv") if name.startswith("conv") else f"_{name}"
    layers: list[tuple[str, nn.Module]] = [(name, initialised(layer))]
    if norm != "none":
        layers.append((f"norm{number}", _norm(norm, layer.out_channels)))
    layers.append((f"act{number}", nn.LeakyReLU(SLOPE)))
    return layers


def _norm(kind: str, channels: int) -> nn.Module:
    if kind not in _NORMS:
        raise ReliableSwapError(f"unknown norm {kind!r}; choose one of {', '.join(_NORMS)}")
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(_GROUPS if channels % _GROUPS == 0 else 1, channels)
