"""The networks of one swap, ready to be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from reliableswap.faces.detect import to_tensor
from reliableswap.runtime.base import Runtime


class Running:
    """A network as it runs: a compiled copy, a runtime that is current, or the network itself.

    Device and dtype are looked up once, because diffusers searches all modules for them at every access.
    """

    def __init__(self, network: Any, runs: Any) -> None:
        self.network, self.runs, self.config = network, runs, network.config
        self._call = runs.run if isinstance(runs, Runtime) else runs
        first = next(network.parameters())
        self.device, self.dtype = first.device, first.dtype

    def __call__(self, *inputs: Any) -> Any:
        return self._call(*inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runs, name)


@dataclass(frozen=True)
class Networks:
    """The components that a swap uses; None where the pipeline has no such network."""

    detector: Any = None
    landmarks: Any = None
    glasses: Any = None
    visibility: Any = None
    identity: Any = None
    fixer: Any = None
    generator: Any = None
    people: Any = None

    @property
    def adapter(self) -> Any:
        """The generator's IdentityAdapter, or None."""
        return getattr(self.generator, "adapter", None)

    def embed(self, name: str, picture: np.ndarray) -> torch.Tensor:
        """(1,D) on the CPU: the vector that an encoder gives for a window (H,W,3) uint8 of an aligned crop."""
        return embed(getattr(self, name), picture)

    def encodes_like(self, other: Networks) -> bool:
        """Whether vectors made by the other networks are those that these would make."""
        if self._adapts is not other._adapts:
            return False
        return all(
            getattr(getattr(self, name), "runs", None) is getattr(getattr(other, name), "runs", None)
            for name in ("identity", "fixer", "glasses", "visibility")
        )

    @property
    def _adapts(self) -> Any:
        """What the adapter's answers come from, or None: an adapter is a part of its generator."""
        return None if self.adapter is None else self.generator.runs


def embed(network: Any, picture: np.ndarray) -> torch.Tensor:
    """(1,D) on the CPU: the network's vector for a window (H,W,3) uint8 of an aligned crop."""
    with torch.inference_mode():
        vector: torch.Tensor = network(to_tensor(picture).to(network.device, network.dtype))
    return vector.cpu()
