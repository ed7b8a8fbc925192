"""OnnxGenerator: a third-party face swapper from an ONNX file, with inswapper's and hyperswap's conventions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import register_to_config
from .generator import Generator, GeneratorOutput
from .onnx_file import OnnxNetwork


class OnnxGenerator(OnnxNetwork, Generator):
    """(B,3,S,S), (B,identity_dim) -> GeneratorOutput; the mask is the file's second output, or ones.

    The file takes an aligned crop and a unit vector with `embedding_size` entries. The encoder's vector is multiplied
    by `embedding_map` (the identity matrix unless the pipeline's encoder is not the file's own) and normalised, then
    multiplied by `emap` (the identity matrix unless the file has one, as inswapper does) and normalised again.
    """

    @register_to_config
    def __init__(
        self,
        sha256: str = "",
        onnx_parameters: int = 0,
        target_input: str = "target",
        source_input: str = "source",
        size: int = 128,
        embedding_size: int = 512,
        identity_dim: int = 512,
        fixer_dim: int = 0,
        template: str = "arcface_128",
        value_range: Sequence[float] = (0.0, 1.0),
        identity_encoder: str = "",
        identity_checksum: str = "",
        fixer_checksum: str = "",
        away: float = 0.0,
        held_out: float = 100.0,  # its training data are unknown, so they limit no evaluation
    ) -> None:
        super().__init__()
        self.size, self.vector_size = size, identity_dim + fixer_dim
        self.embedding_map = nn.Parameter(torch.eye(identity_dim, embedding_size), requires_grad=False)
        self.emap = nn.Parameter(torch.eye(embedding_size), requires_grad=False)

    def embedding(self, identity: Tensor) -> Tensor:
        """(B,identity_dim) the encoder's vectors -> (B,embedding_size) the file's input vectors, of length 1."""
        known = F.normalize(identity.float() @ self.embedding_map.float())
        return F.normalize(known @ self.emap.float())

    def forward(self, target: Tensor, identity: Tensor, guidance: Tensor | None = None) -> GeneratorOutput:
        """(B,3,S,S) in the config's value range, (B,identity_dim) -> image of the same shape, mask."""
        self.check_inputs(target, identity, guidance)
        names = self.config["target_input"], self.config["source_input"]
        vectors = self.embedding(identity)
        # Published files take one picture at a time.
        found = [
            self.infer(dict(zip(names, (crop[None], vector[None]), strict=True)))
            for crop, vector in zip(target, vectors, strict=True)
        ]
        image = torch.cat([outputs[0] for outputs in found]).to(target.device, target.dtype)
        masks = [one for outputs in found for one in outputs[1:2] if one.shape == (1, 1, *target.shape[2:])]
        if len(masks) < len(found):
            return self.without_mask(image)
        return GeneratorOutput(image=image, mask=torch.cat(masks).to(image).clamp(0, 1))
