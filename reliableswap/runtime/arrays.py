"""The interfaces by which a swap calls networks: arrays in, arrays out, whatever runs them.

`torch_arrays.TorchArrayNetwork` implements them for PyTorch networks, `exported_networks.FileNetwork` for exported
files. Neither this module nor the code that calls networks this way needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class ArrayNetwork(Protocol):
    """float32 arrays in and out, batch first. A decoder also takes a person's name; None stands for a missing input."""

    @property
    def config(self) -> Mapping[str, Any]: ...

    def __call__(self, *inputs: np.ndarray | str | None) -> tuple[np.ndarray, ...]: ...


class ArrayDetector(Protocol):
    """A FaceDetector. above: (1,3,H,W) -> (M,15), the detections with a logit above `logit`."""

    def above(self, image: np.ndarray, logit: float) -> np.ndarray: ...


class ArrayEncoder(ArrayNetwork, Protocol):
    """An encoder of faces, identified by the checksum of its weights."""

    def checksum(self) -> str: ...


class ArrayAdapter(Protocol):
    """A generator's IdentityAdapter: (1,3,112,112) -> (1,D). join: joins its output to v_full (1,D')."""

    def __call__(self, window: np.ndarray) -> np.ndarray: ...

    def join(self, identity: np.ndarray, adapted: np.ndarray) -> np.ndarray: ...


class ArrayGenerator(ArrayNetwork, Protocol):
    """(B,3,S,S) target, (B,D) identity, (B,4,S,S) guidance -> image (B,3,S,S) and mask (B,1,S,S).

    sizes: the sides S, smallest first. guidance_channels: 0 if it takes none. maps: for a layered generator, inputs of
    128 px -> the drawn picture (B,3,128,128), maps (B,CHANNELS,128,128), the mask's logits (B,1,128,128).
    """

    def maps(self, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    @property
    def sizes(self) -> Sequence[int]: ...

    @property
    def guidance_channels(self) -> int: ...

    @property
    def adapter(self) -> ArrayAdapter | None: ...


def as_array_network(network: Any) -> Any:
    """Return the network in a form called with arrays: a PyTorch network as its inference copy, others as given."""
    if not hasattr(network, "state_dict"):
        return network
    from .torch import cached_inference_copy
    from .torch_arrays import TorchArrayNetwork

    return TorchArrayNetwork(network, cached_inference_copy(network))
