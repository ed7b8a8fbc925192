"""OnnxIdentityEncoder: a third-party identity encoder from an ONNX file, such as InsightFace's ArcFace w600k."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import check_shape, register_to_config
from .compat import weights_checksum
from .identity import IDENTITY_SIZE
from .onnx_file import OnnxNetwork


class OnnxIdentityEncoder(OnnxNetwork):
    """(B,3,112,112) RGB in [-1,1], the identity window of the aligned crop -> (B,D), length 1.

    mean, std: the file's input normalisation, for pictures in [0,1].
    """

    @register_to_config
    def __init__(
        self,
        sha256: str = "",
        onnx_parameters: int = 0,
        picture_input: str = "input.1",
        embedding_size: int = 512,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        name: str = "",
    ) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        scale = torch.tensor([0.5 / s for s in std])
        shift = torch.tensor([(0.5 - m) / s for m, s in zip(mean, std, strict=True)])
        self.scale = nn.Parameter(scale.view(1, 3, 1, 1), requires_grad=False)
        self.shift = nn.Parameter(shift.view(1, 3, 1, 1), requires_grad=False)

    @property
    def label(self) -> str:
        """The name that generators' configs give this encoder."""
        return str(self.config["name"])

    def checksum(self) -> str:
        """Return a fingerprint of file and settings, the same for float32 and float16 copies."""
        return weights_checksum(self, ("sha256", "embedding_size", "mean", "std"))

    def embed(self, faces: Tensor) -> Tensor:
        """(B,3,112,112) in [-1,1] -> (B,D) before normalisation."""
        check_shape("faces", faces, (None, 3, IDENTITY_SIZE, IDENTITY_SIZE))
        name, shown = self.config["picture_input"], faces * self.scale + self.shift
        vectors = [self.infer({name: face[None]})[0].reshape(1, -1) for face in shown]
        return torch.cat(vectors).to(faces.device, faces.dtype)

    def forward(self, faces: Tensor) -> Tensor:
        """(B,3,112,112) in [-1,1] -> (B,D), length 1."""
        return F.normalize(self.embed(faces), dim=1)
