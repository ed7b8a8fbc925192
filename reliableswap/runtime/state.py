"""Noticing that a network's weights are no longer those that something was compiled from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from operator import attrgetter, is_

import torch
from torch import Tensor, nn

_VERSION = attrgetter("_version")


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
        self._held = [
            (held, name)
            for module in modules
            for held in (module._parameters, module._buffers)
            for name, tensor in held.items()
            if tensor is not None
        ]
        self._weights = self._now()
        self._counted = [
            not tensor.is_inference() for tensor in self._weights
        ]  # torch counts no changes of others
        self._addresses, self._versions = self._memory()
        with torch.no_grad():  # kept alive, so that an address can't be given to another tensor
            self._kept = [tensor.detach() for tensor in self._weights]

    def matches(self, network: nn.Module) -> bool:
        """Whether this network, the one that the state was taken of, still has the same weights."""
        return (
            all(list(held.values()) == then for held, then in self._children)
            and all(map(is_, self._now(), self._weights))
            and self._memory() == (self._addresses, self._versions)
        )

    def _now(self) -> list[Tensor]:
        """Every parameter and buffer where the state found one."""
        return [held.get(name) for held, name in self._held]  # type: ignore[misc]  # one that is gone is another one

    def _memory(self) -> tuple[list[int], list[int]]:
        """The weights' addresses, and how often each was changed in place; a network has hundreds."""
        versions = map(_VERSION, compress(self._weights, self._counted))
        return list(map(Tensor.data_ptr, self._weights)), list(versions)
