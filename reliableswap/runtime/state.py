"""Detect that a network's weights have changed since it was compiled."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from operator import attrgetter, is_

import torch
from torch import Tensor, nn

_VERSION = attrgetter("_version")


class WeightsState:
    """A snapshot of a network's layers and weights, to compare with later ones.

    It detects `load_state_dict`, in-place edits, replaced layers and `.to()`, but not edits through `tensor.data`,
    because torch does not count those.
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
        # torch counts no in-place changes of inference tensors.
        self._counted = [not tensor.is_inference() for tensor in self._weights]
        self._addresses, self._versions = self._memory()
        with torch.no_grad():  # keep the memory alive, so that no other tensor gets the same address
            self._kept = [tensor.detach() for tensor in self._weights]

    def matches(self, network: nn.Module) -> bool:
        """Whether the network still has the same weights; it has to be the one of the snapshot."""
        return (
            all(list(held.values()) == then for held, then in self._children)
            and all(map(is_, self._now(), self._weights))
            and self._memory() == (self._addresses, self._versions)
        )

    def _now(self) -> list[Tensor]:
        """Return the present parameters and buffers in the places of the snapshot."""
        return [held.get(name) for held, name in self._held]  # type: ignore[misc]  # one that is gone is another one

    def _memory(self) -> tuple[list[int], list[int]]:
        """Return the weights' addresses and their counts of in-place changes; fast, as a network has hundreds."""
        versions = map(_VERSION, compress(self._weights, self._counted))
        return list(map(Tensor.data_ptr, self._weights)), list(versions)
