"""CombDecoder: one person's decoder of a comb autoencoder (Naruniec et al., 2020), which can be shared by itself."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.errors import ReliableSwapError

from .base import Network, check_shape, register_to_config
from .comb_levels import MAP, SLOPE, ToPixels, channels_at, coarsest, decoder_level, sides

PORTRAIT = 128  # side of the portrait
MESH_STEPS = 1000  # a portrait's mesh is stored in steps of this fraction of a pixel
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class CombDecoder(Network):
    """(B,latent) -> (B,3,side,side) in [-1,1]: a person's face in the pose and expression that the latent holds.

    stage: the level that was trained last. portrait: a real frame of the person, for gates, likeness and shape, which
    need a picture. It decodes the latents of one encoder only, whose checksum is `encoder_checksum`.
    """

    @register_to_config
    def __init__(
        self,
        person: str = "somebody",
        size: int = 128,
        latent: int = 512,
        base_channels: int = 16,
        max_channels: int = 512,
        norm: str = "none",
        template: str = "arcface_128",
        blocks: str = "paper",
        encoder_checksum: str = "",
    ) -> None:
        super().__init__()
        check_name(person)
        self.sides = sides(size, blocks)
        widths = {side: channels_at(side, base_channels, max_channels) for side in self.sides}
        self.first = nn.Linear(latent, widths[self.sides[0]] * MAP**2)
        self.levels, self.to_rgb = nn.ModuleDict(), nn.ModuleDict()
        for side in self.sides:
            self.levels[str(side)] = decoder_level(blocks, widths.get(side // 2), widths[side], norm)
            self.to_rgb[str(side)] = ToPixels(blocks, widths[side])
        self.stage, self.portrait = Stage(coarsest(blocks)), Portrait()

    def forward(self, latents: Tensor, side: int | None = None, who: Tensor | None = None) -> Tensor:
        """(B,latent) -> (B,3,side,side) in [-1,1]; side: one of the levels, the largest by default.

        who: (B,features of the first layer), added to that layer's output; a decoder of one person needs none.
        """
        side = self.sides[-1] if side is None else side
        check_shape("latents", latents, (None, self.first.in_features))
        if side not in self.sides:
            raise ValueError(f"side is {side}; expected one of {', '.join(map(str, self.sides))}")
        x = self.first(latents)
        x = F.leaky_relu(x if who is None else x + who, SLOPE).unflatten(1, (-1, MAP, MAP))
        before = x
        for step in self.sides[: self.sides.index(side) + 1]:
            before, x = x, self.levels[str(step)](x)
        picture: Tensor = self.to_rgb[str(side)](x)
        if side > self.sides[0]:
            coarse = F.interpolate(self.to_rgb[str(side // 2)](before), scale_factor=2.0, mode="nearest")
            picture = self.stage(coarse, picture)
        return picture

    @torch.no_grad()
    def init_colour(self, colour: Tensor) -> None:
        """Initialise every level's output to a colour (3,) in [-1,1], such as the mean of the person's faces."""
        for layer in self.to_rgb.values():
            assert isinstance(layer, ToPixels)
            layer.init_colour(colour)

    def checksum(self) -> str:
        """Return a fingerprint of the weights."""
        from .compat import weights_checksum

        return weights_checksum(self, ())


class Stage(nn.Module):
    """side: of the level that was trained last. fade: the weight of its layers, from 0 to 1.

    A separate module, because loading goes by the dtype of a network's first tensor, and that must be a weight.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self.register_buffer("side", torch.tensor(first, dtype=torch.int64))
        self.register_buffer("fade", torch.tensor(1.0))

    side: Tensor
    fade: Tensor

    def forward(self, without: Tensor, with_level: Tensor) -> Tensor:
        """Blend the result without the level's layers into the result with them, by `fade`."""
        dtype = with_level.dtype  # lerp takes one dtype, and autocast on GPUs does not cast its inputs
        return torch.lerp(without.to(dtype), with_level, self.fade.to(dtype))

    def grow(self, side: int, fade: float) -> None:
        """Set side and fade."""
        self.side.fill_(side)
        self.fade.fill_(fade)


class Portrait(nn.Module):
    """A real frame of a person: picture (128,128,3) uint8, an aligned crop, and mesh (468,3); both zero if empty."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("picture", torch.zeros(PORTRAIT, PORTRAIT, 3, dtype=torch.uint8))
        self.register_buffer("steps", torch.zeros(468, 3, dtype=torch.int32))

    picture: Tensor
    steps: Tensor

    def keep(self, picture: Tensor, mesh: Tensor) -> None:
        """Store a picture and its mesh."""
        self.picture.copy_(picture)
        self.steps.copy_((mesh * MESH_STEPS).round())

    @property
    def mesh(self) -> Tensor:
        """(468,3) float32, in the picture's pixels."""
        return self.steps.float() / MESH_STEPS

    @property
    def empty(self) -> bool:
        """Whether no portrait is stored."""
        return not bool(self.steps.any())


def check_name(person: str) -> None:
    """Raise unless the name can be part of the weights' names."""
    if not _NAME.fullmatch(person) or hasattr(nn.ModuleDict, person) or person == "training":
        raise ReliableSwapError(
            f"invalid name for a person: {person!r}; use letters, digits, - and _, begin with a letter or digit, and "
            "avoid reserved names such as 'keys'"
        )
