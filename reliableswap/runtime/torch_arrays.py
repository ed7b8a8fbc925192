"""PyTorch networks, called with arrays."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from reliableswap.models.layer_maps import SIDE

from .arrays import ArrayAdapter
from .base import Runtime
from .state import WeightsState

_LOCK = threading.Lock()
_CHECKSUMS: WeakKeyDictionary[nn.Module, tuple[WeightsState, str]] = WeakKeyDictionary()


class TorchArrayNetwork:
    """A PyTorch network as an `arrays.ArrayNetwork`: arrays in, arrays out.

    executor: an inference copy of the network, a runtime that is current, or the network itself.
    Device and dtype are looked up once, because diffusers searches all modules for them at every access.
    """

    def __init__(self, network: Any, executor: Any = None) -> None:
        self.network, self.executor = network, network if executor is None else executor
        self.config = network.config
        self._call: Any = self.executor.run if isinstance(self.executor, Runtime) else self.executor
        first = next(network.parameters())
        self.device, self.dtype = first.device, first.dtype

    def __call__(self, *inputs: np.ndarray | str | None) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            answer = self._call(*(self._tensor(x) if isinstance(x, np.ndarray) else x for x in inputs))
            return tuple(map(_array, (answer,) if isinstance(answer, Tensor) else answer))

    def maps(self, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Run a layered generator on inputs of 128 px: return the drawn picture, the maps, and the mask's logits."""
        with torch.inference_mode():
            tensors = map(self._tensor, inputs)
            by_runtime = isinstance(self.executor, Runtime)
            answer = self.executor.maps(*tensors) if by_runtime else self.executor(*tensors, as_maps=True)
            drawn, maps, logits = map(_array, answer)
        return drawn, maps, logits

    def above(self, image: np.ndarray, logit: float) -> np.ndarray:
        """(1,3,H,W) -> (M,15): a detector's rows with a logit above `logit`."""
        with torch.inference_mode():
            return _array(self.executor.above(self._tensor(image), logit))

    def checksum(self) -> str:
        """Return the checksum of the weights, computed again only if they have changed."""
        with _LOCK:
            known = _CHECKSUMS.get(self.network)
            if known is None or not known[0].matches(self.network):
                known = _CHECKSUMS[self.network] = WeightsState(self.network), self.network.checksum()
        return known[1]

    @property
    def guidance_channels(self) -> int:
        """The channels of a generator's guidance; 0 if it takes none."""
        return int(self.executor.guidance_channels)

    @property
    def sizes(self) -> Sequence[int]:
        """The sides of a generator's crops, smallest first."""
        own = self.executor.size
        return [own] if own else sorted(self.config.get("sizes", [SIDE]))

    @property
    def adapter(self) -> ArrayAdapter | None:
        """A generator's IdentityAdapter."""
        adapter = getattr(self.executor, "adapter", None)
        return None if adapter is None else _Adapter(adapter, self)

    def side_of(self, person: str) -> int:
        """Return the side of the crop that a person's decoder was trained at."""
        return int(self.executor.side_of(person))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, self.dtype)


class _Adapter:
    """An IdentityAdapter, called with arrays."""

    def __init__(self, adapter: Any, generator: TorchArrayNetwork) -> None:
        self._adapter, self._generator = adapter, generator

    def __call__(self, window: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return _array(self._adapter(self._generator._tensor(window)))

    def join(self, identity: np.ndarray, adapted: np.ndarray) -> np.ndarray:
        return _array(self._adapter.join(torch.from_numpy(identity), torch.from_numpy(adapted)))


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.float().cpu().numpy())
