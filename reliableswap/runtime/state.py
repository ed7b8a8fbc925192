"""Noticing that a network's weights are no longer those that something was compiled from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightsState:
    """The layers and weights that a network has now, to be compared with those that it has later.

    `load_state_dict`, in-place edits, replaced layers and `.to()` are noticed; edits through `tensor.data` are not,
    because torch doesn't count those.
    """

    def __init__(self, network: nn.Module) -> None:
        modules = list(network.modules())
        # Walking the modules takes ten times as long as comparing what they hold.
        self._children: list[tuple[Mapping[str, nn.Module | None], list[nn.Module | None]]] = [
            (module._modules, list(module._modules.values())) for module in modules if module._modules
        ]
        self._weights = [
            (held, name, _Weight(tensor))
            for module in modules
            for held in (module._parameters, module._buffers)
            for name, tensor in held.items()
            if tensor is not None
        ]

    def matches(self, network: nn.Module) -> bool:
        """Whether this network, the one that the state was taken of, still has the same weights."""
        return all(list(held.values()) == then for held, then in self._children) and all(
            weight.same(held.get(name)) for held, name, weight in self._weights
        )


class _Weight:
    """One parameter or buffer, its memory and its count of in-place changes."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.address, self.version = tensor, tensor.data_ptr(), _version(tensor)
        with torch.no_grad():
            self._memory = tensor.detach()  # kept alive, so that its address can't be given to another tensor

    def same(self, tensor: Tensor | None) -> bool:
        return (
            tensor is self.tensor
            and self.tensor.data_ptr() == self.address
            and _version(self.tensor) == self.version
        )


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
