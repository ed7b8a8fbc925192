"""GeneralAutoencoder: a comb autoencoder of everybody, from which people's own networks start."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Network, check_shape, register_to_config
from .comb_autoencoder import CombEncoder
from .comb_decoder import CombDecoder
from .compat import weights_checksum

EVERYBODY = "everybody"


class GeneralAutoencoder(Network):
    """(B,3,S,S) in [-1,1], (B,identity) v_id -> (B,3,S,S): the face of whom v_id is, in the pictures' expression.

    The decoder is told who it draws by what a linear map of v_id adds to its first layer. For one person that is a
    change of the layer's bias, so `decoder_of` makes a person's decoder without any training.
    """

    @register_to_config
    def __init__(
        self,
        size: int = 64,
        latent: int = 256,
        base_channels: int = 1,
        max_channels: int = 160,
        norm: str = "none",
        template: str = "arcface_128",
        blocks: str = "light",
        identity: int = 128,
    ) -> None:
        super().__init__()
        shared = (size, latent, base_channels, max_channels, norm)
        self.encoder = CombEncoder(*shared, blocks)
        self.decoder = CombDecoder(EVERYBODY, *shared, template, blocks)
        self.who = nn.Linear(identity, self.decoder.first.out_features, bias=False)
        nn.init.normal_(self.who.weight, std=0.5)  # as much as the latents add: v_id has length 1

    def forward(self, pictures: Tensor, v_id: Tensor, noise: float = 0.0) -> Tensor:
        """noise: of the latents, in their standard deviations. What v_id says anyhow is then left out of them first."""
        check_shape("v_id", v_id, (len(pictures), self.who.in_features))
        latents = self.encoder(pictures)
        if noise:
            latents = latents + noise * torch.randn_like(latents)
        added = self.who(F.normalize(v_id.to(latents.dtype), dim=1))
        made: Tensor = self.decoder(latents, pictures.shape[-1], added)
        return made

    @torch.no_grad()
    def decoder_of(self, v_id: Tensor) -> CombDecoder:
        """(identity,) -> a copy of the decoder that draws the person of that v_id only."""
        found = copy.deepcopy(self.decoder)
        assert found.first.bias is not None
        found.first.bias += self.who(F.normalize(v_id.to(self.who.weight), dim=0))
        return found

    def grow(self, side: int, fade: float = 1.0) -> None:
        """Say which level is trained, and how far it takes part."""
        self.encoder.stage.grow(side, fade)
        self.decoder.stage.grow(side, fade)

    def checksum(self) -> str:
        """A fingerprint of the weights."""
        return weights_checksum(self, ())
