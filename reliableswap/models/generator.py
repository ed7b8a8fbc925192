"""What all generators answer to: `generator(target, identity, guidance=None) -> image, mask`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput
from torch import Tensor
from torch.nn import functional as F

from .base import Network, check_shape


@dataclass
class GeneratorOutput(BaseOutput):
    """A swapped crop; unpacks as `image, mask`.

    image: (B,3,H,W) in the generator's value range; mask: (B,1,H,W) in [0,1], where the image is to be used;
    mask_logits: the mask before its sigmoid, for losses, or None where the network makes no mask of its own.
    """

    image: Tensor
    mask: Tensor
    mask_logits: Tensor | None = None

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.image, self.mask))


class Generator(Network):
    """(B,3,H,W) target and (B, identity_dim + fixer_dim) identity -> GeneratorOutput.

    Every generator's config names what its inputs have to be:
    template: the crop template (faces.align.TEMPLATES); value_range: what the pictures' darkest and brightest
    values are, going in and coming out; identity_encoder, identity_checksum: the encoder it was trained with;
    identity_dim, fixer_dim: the lengths of v_id and v_fix (0: without FixerNet); fixer_checksum: of its FixerNet.
    """

    multiple = 1  # what height and width must be divisible by
    guidance_channels = 0  # 0: the network has no use for guidance and refuses it
    size: int | None = None  # the only size it takes, or None if it is fully convolutional
    vector_size: int

    def check_inputs(self, target: Tensor, identity: Tensor, guidance: Tensor | None) -> None:
        """Raise a ValueError that names the expected shape."""
        check_shape("target", target, (None, 3, self.size, self.size), self.multiple)
        batch, _, height, width = target.shape
        check_shape("identity", identity, (batch, self.vector_size))
        if guidance is None:
            return
        if not self.guidance_channels:
            raise ValueError(f"{type(self).__name__} takes no guidance; pass None, or use a LightGenerator")
        check_shape("guidance", guidance, (batch, self.guidance_channels, height, width))

    @staticmethod
    def whole(image: Tensor) -> GeneratorOutput:
        """The output of a network that makes no mask: all of the crop counts."""
        return GeneratorOutput(image=image, mask=torch.ones_like(image[:, :1]))


def per_channel_norm(x: Tensor, eps: float) -> Tensor:
    """(B,C,H,W) -> each channel with mean 0 and variance 1; half precision is summed up in float32."""
    if x.shape[2] * x.shape[3] == 1:  # a single pixel is its own mean, which instance norm refuses to say
        return torch.zeros_like(x)
    # Of the kernels for this, group norm with one channel a group takes three times as long in bfloat16 on CPUs.
    return F.instance_norm(x, eps=eps)
