"""Noticing that a network's weights are no longer those that something was compiled from."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn


class WeightsState:
    """What a network's parameters and buffers were: their memory, type, device and count of in-place changes.

    `load_state_dict`, in-place edits, replaced layers and `.to()` are noticed; edits through `tensor.data` are not,
    because torch doesn't count those.
    """

    def __init__(self, network: nn.Module) -> None:
        # Aliases, not only addresses: memory that is kept alive can't be given to other tensors.
        with torch.no_grad():
            self._tensors = [tensor.detach() for tensor in _tensors(network)]
        self._versions = [_version(tensor) for tensor in self._tensors]

    def matches(self, network: nn.Module) -> bool:
        """Whether the network still has the weights it had."""
        now = list(_tensors(network))
        return len(now) == len(self._tensors) and all(
            new.data_ptr() == old.data_ptr()
            and new.dtype == old.dtype
            and new.device == old.device
            and new.shape == old.shape
            and _version(new) == version
            for new, old, version in zip(now, self._tensors, self._versions, strict=True)
        )


def _tensors(network: nn.Module) -> chain[Tensor]:
    return chain(network.parameters(), network.buffers())


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
