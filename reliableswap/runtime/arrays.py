"""A network as a swap calls it: arrays in, arrays out, whatever runs it.

A network of torch's is one as `torch_arrays.Running`, an exported file as `exported_networks.FileNetwork`. This module,
and all that calls networks this way, does without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class ArrayNetwork(Protocol):
    """float32 arrays in and out, the first axis for samples. A decoder takes a person's name too; None is left out."""

    @property
    def config(self) -> Mapping[str, Any]: ...

    def __call__(self, *inputs: np.ndarray | str | None) -> tuple[np.ndarray, ...]: ...


class ArrayDetector(Protocol):
    """A FaceDetector. above: (1,3,H,W) -> (M,15), the detections whose logit is above `logit`."""

    def above(self, image: np.ndarray, logit: float) -> np.ndarray: ...


class ArrayEncoder(ArrayNetwork, Protocol):
    """An encoder of faces, which can tell by its weights' checksum whether it is another one."""

    def checksum(self) -> str: ...


class ArrayAdapter(Protocol):
    """A generator's IdentityAdapter: (1,3,112,112) -> (1,D), and how its answer joins v_full (1,D')."""

    def __call__(self, window: np.ndarray) -> np.ndarray: ...

    def join(self, identity: np.ndarray, adapted: np.ndarray) -> np.ndarray: ...


class ArrayGenerator(ArrayNetwork, Protocol):
    """(B,3,S,S) target, (B,D) identity, (B,4,S,S) guidance -> image (B,3,S,S) and mask (B,1,S,S).

    sizes: the sides S, smallest first. guidance_channels: 0 where it takes none. maps: of a layered generator, inputs
    of 128 px -> what it draws (B,3,128,128), its maps (B,CHANNELS,128,128), the mask's logits (B,1,128,128).
    """

    def maps(self, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

    @property
    def sizes(self) -> Sequence[int]: ...

    @property
    def guidance_channels(self) -> int: ...

    @property
    def adapter(self) -> ArrayAdapter | None: ...


def runnable(network: Any) -> Any:
    """A network that is called with arrays; one of torch's as its compiled copy, made again if its weights change."""
    if not hasattr(network, "state_dict"):
        return network
    from .torch import compiled
    from .torch_arrays import Running

    return Running(network, compiled(network))
