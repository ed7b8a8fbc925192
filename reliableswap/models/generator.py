"""The interface of all generators: `generator(target, identity, guidance=None) -> image, mask`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diffusers.utils import BaseOutput
from torch import Tensor, ones_like

from .base import Network, check_shape


@dataclass
class GeneratorOutput(BaseOutput):
    """A swapped crop; unpacks as `image, mask`.

    image: (B,3,H,W) in the generator's value range.
    mask: (B,1,H,W) in [0,1], where to use the image.
    mask_logits: (B,1,H,W) the mask before its sigmoid, for losses; None if the network predicts no mask.
    layers: (B,3,H,W) the weights of texture, target and drawn picture, for losses; None without layers.
    drawn: (B,3,128,128) the drawn picture by itself, for losses; None without layers.
    coarse: the image at 1/2, 1/4, ... of the size, for losses; None outside training or without coarse heads.
    """

    image: Tensor
    mask: Tensor
    mask_logits: Tensor | None = None
    layers: Tensor | None = None
    drawn: Tensor | None = None
    coarse: tuple[Tensor, ...] | None = None

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.image, self.mask))


class Generator(Network):
    """(B,3,H,W) target and (B, identity_dim + fixer_dim) identity -> GeneratorOutput.

    Every generator's config describes the inputs that it expects:
    template: the crop template, a name in `faces.align.TEMPLATES`.
    value_range: the values of black and white, in inputs and outputs.
    identity_dim, fixer_dim: lengths of v_id and v_fix; fixer_dim is 0 without a FixerNet.
    identity_encoder, identity_checksum, fixer_checksum: the encoders that it was trained with.
    held_out: the percentage of people that training left out, by the rule of `reliableswap.data.splits`.
    """

    multiple = 1  # height and width must be divisible by this
    guidance_channels = 0  # 0: the network takes no guidance
    size: int | None = None  # the only input size, or None if any multiple is accepted
    vector_size: int

    def check_inputs(self, target: Tensor, identity: Tensor, guidance: Tensor | None) -> None:
        """Raise a ValueError with the expected shape if an input does not fit."""
        check_shape("target", target, (None, 3, self.size, self.size), self.multiple)
        batch, _, height, width = target.shape
        check_shape("identity", identity, (batch, self.vector_size))
        if guidance is None:
            return
        if not self.guidance_channels:
            raise ValueError(f"{type(self).__name__} takes no guidance; pass None, or use a LightGenerator")
        check_shape("guidance", guidance, (batch, self.guidance_channels, height, width))

    @staticmethod
    def without_mask(image: Tensor, coarse: tuple[Tensor, ...] | None = None) -> GeneratorOutput:
        """Return the output of a network that predicts no mask: use the whole image."""
        return GeneratorOutput(image=image, mask=ones_like(image[:, :1]), coarse=coarse)
