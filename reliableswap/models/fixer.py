"""FixerNet: an embedding of jaw and mouth, which identity encoders attend to little; the paper's `v_fix`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from .base import Network, check_shape, register_to_config
from .compat import weights_checksum
from .identity import Normalise, face_body

FIXER_SIZE = 56


class FixerNet(Network):
    """(B,3,56,56) RGB in [-1,1], the bottom-centre window of the identity crop -> (B,D).

    `body` is "mobilefacenet" (about a million parameters) or an IResNet. The published FixerNet is "iresnet50" with
    `normalised=False`: its generators take the vector without normalisation.
    """

    @register_to_config
    def __init__(
        self,
        body: str = "mobilefacenet",
        embedding_size: int = 128,
        normalised: bool = True,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        name: str = "",
    ) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.normalised = normalised
        self.normalise = Normalise(mean, std)
        self.trunk = face_body(body, embedding_size, FIXER_SIZE)

    def checksum(self) -> str:
        """Return a fingerprint of weights and settings, the same for float32 and float16 copies."""
        return weights_checksum(self, ("body", "embedding_size", "normalised", "mean", "std"))

    def forward(self, lower_faces: Tensor) -> Tensor:
        """(B,3,56,56) in [-1,1] -> (B,D), of length 1 if the config's `normalised` is true."""
        check_shape("lower_faces", lower_faces, (None, 3, FIXER_SIZE, FIXER_SIZE))
        vector = self.trunk(self.normalise(lower_faces))
        return F.normalize(vector, dim=1) if self.normalised else vector
