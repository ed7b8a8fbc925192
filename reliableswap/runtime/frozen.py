"""Frozen networks inside a loss: the same answers in fewer and quicker steps."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

Frozen = TypeVar("Frozen", bound=nn.Module)


def native_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself. Others imitate it, which is slower than float32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def quickened(network: Frozen, convolutions: torch.dtype = torch.float32, gradients: bool = True) -> Frozen:
    """A frozen copy: norms folded into the convolutions before them, whose weights are of the type given.

    Pass bfloat16 where autocast uses it. It would otherwise turn weights that need no gradient into it at every call.
    Some of it only helps where gradients flow through to the input.
    """
    copy = deepcopy(network).requires_grad_(False).eval()
    for module in list(copy.modules()):
        _fold(module)
    for module in copy.modules():
        if isinstance(module, nn.Conv2d):
            module.to(convolutions)
            if gradients and convolutions == torch.bfloat16 and module.groups > 1 and module.stride != (1, 1):
                module.__class__ = _thinned(type(module))  # type: ignore[arg-type]
    copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub forgets this one
    return copy


def _fold(module: nn.Module) -> None:
    """Fold each norm among a module's children into the convolution defined just before it."""
    children = list(module.named_children())
    for (_, conv), (name, norm) in pairwise(children):
        if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
            continue
        assert norm.running_mean is not None
        assert norm.running_var is not None
        conv.weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.bias = bias.requires_grad_(False)
        conv.weight.requires_grad_(False)
        setattr(module, name, nn.Identity())


@lru_cache
def _thinned(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    """A strided convolution of single channels, worked out for every pixel and thinned out.

    On CPUs the gradient of the strided one takes four to twelve times as long in bfloat16.
    """

    class Thinned(kind):  # type: ignore[valid-type, misc]
        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if x.device.type != "cpu":
                whole: Tensor = super()._conv_forward(x, weight, bias)
                return whole
            down, across = self.stride
            whole = F.conv2d(x, weight, bias, 1, self.padding, self.dilation, self.groups)
            return whole[..., ::down, ::across].contiguous(memory_format=torch.channels_last)

    return Thinned
