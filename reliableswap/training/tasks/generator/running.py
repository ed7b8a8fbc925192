"""Run a generator of any base on a training batch, with pictures in [-1,1] whatever its own value range."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from reliableswap.models.generator import GeneratorOutput

from .views import identity_window


def generate(
    network: nn.Module, target: Tensor, vector: Tensor, guidance: Tensor | None, source: Tensor
) -> GeneratorOutput:
    """Run the generator. One that takes no guidance gets none; an adapter gets the source's crop (B,3,S,S)."""
    inner = unwrapped(network)
    wants = guidance if inner.guidance_channels else None
    adapted = () if getattr(inner, "adapter", None) is None else (identity_window(source),)
    output: GeneratorOutput = network(in_own_range(inner, target), vector, wants, *adapted)
    low, high = value_range(inner)
    if (low, high) == (-1.0, 1.0):
        return output

    def from_own(picture: Tensor) -> Tensor:
        return (picture - low) * (2 / (high - low)) - 1

    coarse = tuple(from_own(one) for one in output.coarse) if output.coarse else None
    return GeneratorOutput(image=from_own(output.image), mask=output.mask, coarse=coarse)


def in_own_range(network: Any, picture: Tensor) -> Tensor:
    """A picture in [-1,1] -> in the network's value range."""
    low, high = value_range(network)
    return picture if (low, high) == (-1.0, 1.0) else (picture + 1) * ((high - low) / 2) + low


def value_range(network: Any) -> tuple[float, float]:
    """Return the values of black and white in a generator's pictures."""
    low, high = getattr(network, "config", {}).get("value_range", (-1.0, 1.0))
    return float(low), float(high)


def enlarged(picture: Tensor, like: Tensor) -> Tensor:
    """(B,3,h,w) -> the size of `like`, bilinearly."""
    return F.interpolate(picture, size=like.shape[-2:], mode="bilinear", align_corners=False)


def unwrapped(network: nn.Module) -> Any:
    """Return the network inside its distributed wrapper, if it has one."""
    return getattr(network, "module", network)
