"""LightGenerator: our own generator, which refines the source's warped texture and is small enough for a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .adapter import IdentityAdapter
from .base import register_to_config
from .colours import expected_colours, with_coarse_colours
from .generator import Generator, GeneratorOutput
from .layer_maps import SIDE
from .layers import LayerHead, compose, enlarged, lean_towards_texture, reduced
from .norms import modulated_norm

_STYLE = 256  # size of the style vector that modulates every block
_SLOPE = 0.2  # of all leaky ReLUs


# Target, identity and guidance at 128 px -> the drawn picture, the layers' maps, the mask's logits.
Maps = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class IdentityStyle(nn.Module):
    """(B,D) -> (B,256): the style vector, which carries the identity to every block."""

    def __init__(self, vector_size: int, encoded: int) -> None:
        super().__init__()
        # The entries of a unit vector are about D^-0.5; scale them to about 1. D does not include an adapter's entries.
        self.gain = encoded**0.5
        self.first = nn.Linear(vector_size, _STYLE)
        self.second = nn.Linear(_STYLE, _STYLE)

    def forward(self, identity: Tensor) -> Tensor:
        return self.second(F.leaky_relu(self.first(identity * self.gain), _SLOPE))


class ModulatedConv(nn.Module):
    """(B,C,H,W), (B,256) -> (B,C',H,W): a convolution whose channels take mean and deviation from the style."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.style = nn.Linear(_STYLE, 2 * after)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.style(style).chunk(2, dim=1)
        return modulated_norm(self.conv(x), scale, shift, eps=1e-5)


class IdentityBlock(nn.Module):
    """(B,C,H,W), (B,256) -> (B,C,H,W): two modulated convolutions and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ModulatedConv(channels, channels)
        self.second = ModulatedConv(channels, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x, style), _SLOPE)
        return x + self.second(y, style)


class Down(nn.Module):
    """(B,C,H,W) -> (B,C',H/2,W/2): convolutions with group norm, the first strided."""

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
    """Apply a group norm in float32: on CPUs its bfloat16 kernel takes twice as long."""
    assert isinstance(norm, nn.GroupNorm)
    weight, bias = norm.weight.float(), norm.bias.float()
    return F.group_norm(x.float(), norm.num_groups, weight, bias, norm.eps).to(x.dtype)


class Gate(nn.Module):
    """x (B,C,H,W), skip (B,C,H,W) -> (B,C,H,W): adds the skip, gated by a function of both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return x + skip * torch.sigmoid(self.conv(torch.cat([x, skip], dim=1)))


class Up(nn.Module):
    """(B,C,H,W), skip (B,C',2H,2W), (B,256) -> (B,C',2H,2W): upsample, modulate, add the gated skip."""

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

    Guidance is the source's texture warped onto the target's mesh, in [-1,1], and its validity, in [0,1]. None means
    `no_guidance`.

    The image is not blended with the target here, because a network that can blend learns to copy its target. The
    predicted mask tells where to use the image and is supervised itself.

    Config:
    target_colours: above 0, the network predicts only the image's lightness and fine detail; the coarse colours,
        averaged over that many cells per side, are those of `expected_colours`. With free colours, the network would
        paint stains, because identity encoders react to them.
    sizes: the crop sizes that it was trained at.
    layers: the network sees inputs of any size at 128 px, and its maps (models/layers.py) are applied at the inputs'
        own size.
    lean: added to the texture's score for inputs above 128 px, because there the network's drawing is soft. The texture
        then keeps its colours, because the network's changes of them show as stains.
    away: the share of the target's vector that a swap subtracts from the source's (swap/steps/guide.py).
    adapter_join: how an IdentityAdapter is joined; "none": there is none. adapter_encoder: its encoder's settings.
    """

    adapter: IdentityAdapter | None

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
        layers: bool = False,
        lean: float = 0.0,
        adapter_join: str = "none",
        adapter_encoder: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ValueError(
                f"channels {tuple(channels)} has {len(channels)} entries; LightGenerator has four levels"
            )
        if guidance_channels not in (0, 4):
            raise ValueError(
                f"guidance_channels is {guidance_channels}; choose 4 (texture and validity) or 0"
            )
        if layers and not guidance_channels:
            raise ValueError("layers needs guidance; choose guidance_channels=4")
        if not sizes or any(size < self.multiple or size % self.multiple for size in sizes):
            raise ValueError(f"sizes is {tuple(sizes)}; give at least one, each divisible by {self.multiple}")
        self.guidance_channels, self.target_colours, self.lean = guidance_channels, target_colours, lean
        self.adapter = (
            None if adapter_join == "none" else IdentityAdapter(adapter_join, adapter_encoder or {})
        )
        encoded = identity_dim + fixer_dim
        self.vector_size = encoded + (identity_dim if adapter_join == "concat" else 0)
        full, half, quarter, eighth = channels
        self.style = IdentityStyle(self.vector_size, encoded)
        self.stem = nn.Conv2d(3 + guidance_channels, full, 3, padding=1)
        self.down = nn.ModuleList([Down(full, half, 2), Down(half, quarter, 2), Down(quarter, eighth, 1)])
        self.blocks = nn.ModuleList(IdentityBlock(eighth) for _ in range(block_count))
        self.up = nn.ModuleList([Up(eighth, quarter), Up(quarter, half), Up(half, full)])
        self.head = nn.Conv2d(full, 4, 3, padding=1)
        self.layer_head = LayerHead(full) if layers else None

    def forward(
        self,
        target: Tensor,
        identity: Tensor,
        guidance: Tensor | None = None,
        source: Tensor | None = None,
        as_maps: bool = False,
    ) -> Any:
        """(B,3,H,W) in [-1,1], (B,D), (B,4,H,W) -> image (B,3,H,W) in [-1,1], mask (B,1,H,W), logits.

        source (B,3,112,112): the identity window of the source's crop, for the adapter; without it, the adapter's
        output has to be joined to `identity` already. as_maps: return what `maps` returns, for a layered generator.
        Unlike a direct call of `maps`, that runs the module's hooks, which move its weights between devices.
        """
        if self.adapter is not None and source is not None:
            identity = self.adapter.join(identity, self.adapter(source))
        if as_maps and guidance is not None:
            return self.maps(target, identity, guidance)
        self.check_inputs(target, identity, guidance)
        if guidance is None and self.guidance_channels:
            guidance = no_guidance(target)
        if self.layer_head is not None and guidance is not None:
            return self.layered(self.maps, target, identity, guidance)
        _, image, logits = self._drawn(target, identity, guidance)
        return GeneratorOutput(image=image, mask=torch.sigmoid(logits), mask_logits=logits)

    def maps(self, target: Tensor, identity: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs of 128 px -> (B,3,128,128) the drawn picture, (B,15,128,128) maps, (B,1,128,128) the mask's logits."""
        assert self.layer_head is not None
        x, made, logits = self._drawn(target, identity, guidance)
        return made, self.layer_head(x), logits

    def layered(self, maps: Maps, target: Tensor, identity: Tensor, guidance: Tensor) -> GeneratorOutput:
        """Run the network on the inputs reduced to 128 px, and apply its maps to the inputs themselves.

        maps: `self.maps`, or a runtime's version of it. Applying the maps is faster outside a converted network.
        """
        made, answer, logits = maps(reduced(target), identity, reduced(guidance))
        if target.shape[-1] > SIDE and self.lean:
            answer = lean_towards_texture(answer, self.lean)
        image, weights = compose(made, answer, target, guidance)
        logits = enlarged(logits, target.shape[-2:])
        mask = torch.sigmoid(logits)
        return GeneratorOutput(image=image, mask=mask, mask_logits=logits, layers=weights, drawn=made)

    def _drawn(
        self, target: Tensor, identity: Tensor, guidance: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B,C,H,W) the decoder's last map, (B,3,H,W) the picture drawn from it, (B,1,H,W) the mask's logits."""
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
            image = with_coarse_colours(image, expected_colours(target, guidance), self.target_colours)
        return x, image, logits


def no_guidance(target: Tensor) -> Tensor:
    """(B,3,H,W) -> (B,4,H,W): guidance without any valid pixel, as in training: texture -1, validity 0."""
    return torch.cat([torch.full_like(target, -1), torch.zeros_like(target[:, :1])], dim=1)
