"""Networks made ready for use: each batch norm folded into the convolution before it, channels last."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Module = TypeVar("Module", bound=nn.Module)


def fused(network: Module) -> Module:
    """A copy that computes the same in less time; it is for use only, training needs the original."""
    ready = copy.deepcopy(network).eval()
    for part in ready.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for (name, first), (behind, second) in pairwise(list(part.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(part, name, fuse_conv_bn_eval(first, second))
                setattr(part, behind, nn.Identity())
    ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready
