"""Frozen networks inside a loss: the same answers in fewer and quicker steps."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Frozen = TypeVar("Frozen", bound=nn.Module)


def quickened(network: Frozen, convolutions: torch.dtype = torch.float32) -> Frozen:
    """A frozen copy: norms folded into the convolutions before them, whose weights are of the type given.

    Pass bfloat16 where autocast uses it. It would otherwise turn weights that need no gradient into it at every call.
    """
    copy = deepcopy(network).requires_grad_(False).eval()
    for module in list(copy.modules()):
        _fold(module)
    for module in list(copy.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                child.to(convolutions)
                if child.groups > 1 and child.stride != (1, 1):
                    setattr(module, name, _InFloat32(child))
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


class _InFloat32(nn.Module):
    """A strided convolution of single channels: on CPUs its gradient takes eight times as long in bfloat16."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv.float()

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            answer: Tensor = self.conv(x.float())
        return answer.to(x.dtype)
