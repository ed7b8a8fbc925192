"""What all generators answer to: `generator(target, identity, guidance=None) -> image, mask`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils import BaseOutput
from torch import Tensor
from torch.autograd.function import once_differentiable
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
    identity_dim, fixer_dim: the lengths of v_id and v_fix (0: without FixerNet); fixer_checksum: of its FixerNet;
    held_out: the percentage of people that training left out, by the rule of `reliableswap.data.splits`.
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
    return modulated_norm(x, None, None, eps)


def modulated_norm(x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float) -> Tensor:
    """(B,C,H,W), (B,C) twice -> each channel with mean `shift` and deviation `1 + scale`; 0 where they are None."""
    if x.shape[2] * x.shape[3] == 1:  # a single pixel is its own mean, which instance norm refuses to say
        x = torch.zeros_like(x)
    elif torch.is_grad_enabled() and x.requires_grad:
        zero = x.new_zeros(x.shape[:2])
        answer: Tensor = _ModulatedNorm.apply(
            x, zero if scale is None else scale, zero if shift is None else shift, eps
        )
        return answer
    else:
        # Of the kernels for this, group norm with one channel a group takes three times as long in bfloat16 on CPUs.
        x = F.instance_norm(x, eps=eps)
    if scale is not None:
        x = x * (scale + 1)[:, :, None, None]
    return x if shift is None else x + shift[:, :, None, None]


class _ModulatedNorm(torch.autograd.Function):
    """The same for training: a few passes over the memory, where the parts' own gradients take three times as many.

    Channels stay where they are in memory too, so that the convolutions around it need not turn them back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        count = x.shape[2] * x.shape[3]
        about = (_sums(x) / count).to(x.dtype)
        d = x - about  # first about a rounded mean, so that squares stay small; then what rounding left over
        rest = _sums(d) / count
        inverse = (_sums(d * d) / count - rest * rest + eps).rsqrt()
        gain = inverse * (scale[:, :, None, None].float() + 1)
        ctx.save_for_backward(d, rest, inverse, gain)
        ctx.kinds = scale.dtype, shift.dtype
        offset = shift[:, :, None, None].float() - rest * gain
        return (d * gain.to(x.dtype)).add_(offset.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        d, rest, inverse, gain = ctx.saved_tensors
        count = d.shape[2] * d.shape[3]
        to_shift = _sums(gradient)
        to_scale = (_sums(gradient * d) - rest * to_shift) * inverse
        slope = -gain * inverse * to_scale / count
        level = -gain * to_shift / count - slope * rest
        to_x = (gradient * gain.to(d.dtype)).add_(d * slope.to(d.dtype)).add_(level.to(d.dtype))
        scale_kind, shift_kind = ctx.kinds
        return to_x, to_scale.flatten(1).to(scale_kind), to_shift.flatten(1).to(shift_kind), None


def _sums(x: Tensor) -> Tensor:
    """(B,C,H,W) -> (B,C,1,1) in float32."""
    return x.sum((2, 3), keepdim=True, dtype=torch.float32)
