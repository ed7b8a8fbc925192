"""The networks of one swap, ready to be called with arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reliableswap.faces.align import to_planes
from reliableswap.runtime.arrays import ArrayAdapter, ArrayNetwork


@dataclass(frozen=True)
class Networks:
    """The components that a swap uses, in the form of runtime.arrays; None where the pipeline has no such network.

    probe: the age gate's two encoders, identity and fixer, if the pipeline includes them.
    """

    detector: Any = None
    landmarks: Any = None
    glasses: Any = None
    visibility: Any = None
    identity: Any = None
    fixer: Any = None
    generator: Any = None
    people: Any = None
    probe: Any = None

    @property
    def adapter(self) -> ArrayAdapter | None:
        """The generator's IdentityAdapter, or None."""
        return getattr(self.generator, "adapter", None)

    def embed(self, name: str, picture: np.ndarray) -> np.ndarray:
        """(1,D) an encoder's vector for a window (H,W,3) uint8 of an aligned crop."""
        return embed(getattr(self, name), picture)

    def agrees_with(self, other: Networks) -> bool:
        """Whether these networks and the others give the same vectors, covers and parts for a photo."""
        if self._adapts is not other._adapts:
            return False
        return all(
            getattr(getattr(self, name), "executor", None) is getattr(getattr(other, name), "executor", None)
            for name in ("identity", "fixer", "glasses", "visibility")
        )

    @property
    def _adapts(self) -> Any:
        """The network that computes the adapter's output, or None: an adapter is part of its generator."""
        return None if self.adapter is None else self.generator.executor


def embed(network: ArrayNetwork, picture: np.ndarray) -> np.ndarray:
    """(1,D) the network's vector for a window (H,W,3) uint8 of an aligned crop."""
    (vector,) = network(to_planes(picture))
    return vector
