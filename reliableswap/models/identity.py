"""IdentityEncoder: an embedding of a face's identity; the paper's `v_id`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Network, check_shape, register_to_config
from .compat import weights_checksum
from .iresnet import IRESNET_LAYERS, IResNet
from .mobilefacenet import MobileFaceNet

IDENTITY_SIZE = 112


class Normalise(nn.Module):
    """(B,3,H,W) in [-1,1] -> (picture - mean) / std, where mean and std are for pictures in [0,1], as is usual."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # As x * scale + shift, mean = std = 0.5 leaves the picture exactly as it is.
        scale = [0.5 / s for s in std]
        shift = [(0.5 - m) / s for m, s in zip(mean, std, strict=True)]
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def face_body(body: str, embedding_size: int, size: int) -> nn.Module:
    """Return a network (B,3,size,size) -> (B,embedding_size) by name."""
    if body == "mobilefacenet":
        return MobileFaceNet(embedding_size, size)
    if body in IRESNET_LAYERS:
        return IResNet(body, embedding_size, size)
    raise ValueError(f"unknown body {body!r}; choose one of {', '.join([*IRESNET_LAYERS, 'mobilefacenet'])}")


class IdentityEncoder(Network):
    """(B,3,112,112) RGB in [-1,1], the identity window of the aligned crop -> (B,D), length 1."""

    @register_to_config
    def __init__(
        self,
        body: str = "mobilefacenet",
        embedding_size: int = 128,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        name: str = "",
    ) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.normalise = Normalise(mean, std)
        self.trunk = face_body(body, embedding_size, IDENTITY_SIZE)

    @property
    def label(self) -> str:
        """The name that generators' configs give this encoder."""
        return self.config.name or self.config.body

    def checksum(self) -> str:
        """Return a fingerprint of weights and settings, the same for float32 and float16 copies."""
        return weights_checksum(self, ("body", "embedding_size", "mean", "std"))

    def embed(self, faces: Tensor) -> Tensor:
        """(B,3,112,112) in [-1,1] -> (B,D) before normalisation; a longer vector means a clearer face."""
        check_shape("faces", faces, (None, 3, IDENTITY_SIZE, IDENTITY_SIZE))
        return self.trunk(self.normalise(faces))

    def forward(self, faces: Tensor) -> Tensor:
        """(B,3,112,112) in [-1,1] -> (B,D), length 1."""
        return F.normalize(self.embed(faces), dim=1)
