"""The networks of one swap, ready to be called with arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reliableswap.faces.align import to_planes
from reliableswap.runtime.arrays import ArrayAdapter, ArrayNetwork


@dataclass(frozen=True)
class Networks:
    """The components that a swap uses, as runtime.arrays says; None where the pipeline has no such network.

    probe: the two encoders of the age gate, identity and fixer, where the pipeline brings them along.
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
        """(1,D) the vector that an encoder gives for a window (H,W,3) uint8 of an aligned crop."""
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


def embed(network: ArrayNetwork, picture: np.ndarray) -> np.ndarray:
    """(1,D) the network's vector for a window (H,W,3) uint8 of an aligned crop."""
    (vector,) = network(to_planes(picture))
    return vector
