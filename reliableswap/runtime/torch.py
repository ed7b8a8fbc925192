"""Make copies of networks that PyTorch runs faster: batch norms folded into convolutions, channels-last memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .state import WeightsState

Module = TypeVar("Module", bound=nn.Module)
_TABLES = (dict, OrderedDict, set)


def native_bfloat16() -> bool:
    """Whether this CPU has bfloat16 instructions; emulated bfloat16 is slower than float32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def inference_copy(network: Module) -> Module:
    """Return a copy in eval mode, with batch norms folded and channels-last weights; its weights need no gradients."""
    # Leave inference mode: tensors made in it can never be used under autograd.
    with torch.inference_mode(False), torch.no_grad():
        copy = _copied(network, {}).requires_grad_(False).eval()
        for module in list(copy.modules()):
            _fold_norms(module)
        copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from its stub
    return copy


def _copied(module: Module, known: dict[int, Any]) -> Module:
    """`deepcopy` in half the time: most of what it copies are the empty hook tables of every module.

    known: deepcopy's memo, the copies by the id of their originals.
    """
    if id(module) in known or hasattr(module, "__deepcopy__"):
        return deepcopy(module, known)
    copy = known[id(module)] = type(module).__new__(type(module))
    for name, value in vars(module).items():
        if name == "_modules":
            value = type(value)(
                (n, None if child is None else _copied(child, known)) for n, child in value.items()
            )
        elif type(value) in _TABLES and not value:
            value = type(value)()
        else:
            value = deepcopy(value, known)
        copy.__dict__[name] = value
    return copy


def frozen_copy(
    network: Module, convolution_dtype: torch.dtype = torch.float32, gradients: bool = True
) -> Module:
    """Return an `inference_copy` for use inside a loss, with its convolutions' weights in `convolution_dtype`.

    Pass bfloat16 under bfloat16 autocast: autocast caches casts only of weights that need gradients, and would cast
    these again at every call. Pass `gradients=False` if no gradient flows through the copy to its input.
    """
    copy = inference_copy(network)
    for module in copy.modules():
        if isinstance(module, nn.Conv2d):
            module.to(convolution_dtype)
            depthwise = module.groups > 1 and module.stride != (1, 1)
            if gradients and convolution_dtype == torch.bfloat16 and depthwise:
                module.__class__ = _strided_by_slicing(type(module))  # type: ignore[arg-type]
    return copy


_COPIES: WeakKeyDictionary[nn.Module, tuple[WeightsState, nn.Module]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def cached_inference_copy(network: Module) -> Module:
    """Return the network's cached `inference_copy`, remade whenever its weights, dtype or device change.

    The check costs a fraction of a millisecond: call this once per picture and use the result for all calls. A network
    that accelerate moves between devices, as after `enable_model_cpu_offload`, is returned unchanged.
    """
    if hasattr(network, "_hf_hook"):
        return network
    with _LOCK:
        known = _COPIES.get(network)
        if known is None or not known[0].matches(network):
            known = WeightsState(network), inference_copy(network)
            _COPIES[network] = known
    return known[1]  # type: ignore[return-value]


def _fold_norms(module: nn.Module) -> None:
    """Fold each batch norm among a module's children into the convolution defined just before it."""
    children = list(module.named_children())
    for (_, conv), (name, norm) in pairwise(children):
        if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
            continue
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = weight.requires_grad_(False), bias.requires_grad_(False)
        setattr(module, name, nn.Identity())


@lru_cache
def _strided_by_slicing(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    """Return a subclass of this convolution that on CPUs computes every pixel, then drops those between strides.

    On CPUs, the gradient of a strided depthwise convolution takes four to twelve times as long in bfloat16.
    """

    class StridedBySlicing(kind):  # type: ignore[valid-type, misc]
        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            if x.device.type != "cpu":
                whole: Tensor = super()._conv_forward(x, weight, bias)
                return whole
            down, across = self.stride
            whole = F.conv2d(x, weight, bias, 1, self.padding, self.dilation, self.groups)
            return whole[..., ::down, ::across].contiguous(memory_format=torch.channels_last)

    return StridedBySlicing
