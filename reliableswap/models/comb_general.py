"""GeneralAutoencoder: a comb autoencoder trained on many people, from which a person's own network starts."""

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
    """(B,3,S,S) in [-1,1], (B,identity) v_id -> (B,3,S,S): the face of v_id's person, in the pictures' expression.

    A linear map of v_id is added to the output of the decoder's first layer. For one person that is a change of the
    layer's bias, so `decoder_of` makes a person's decoder without any training.
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
        nn.init.normal_(self.who.weight, std=0.5)  # adds as much as the latents do, since v_id has length 1

    def forward(self, pictures: Tensor, v_id: Tensor, noise: float = 0.0) -> Tensor:
        """noise: added to the latents, in their standard deviations, so that they first lose what v_id tells anyway."""
        check_shape("v_id", v_id, (len(pictures), self.who.in_features))
        latents = self.encoder(pictures)
        if noise:
            latents = latents + noise * torch.randn_like(latents)
        added = self.who(F.normalize(v_id.to(latents.dtype), dim=1))
        made: Tensor = self.decoder(latents, pictures.shape[-1], added)
        return made

    @torch.no_grad()
    def decoder_of(self, v_id: Tensor) -> CombDecoder:
        """(identity,) -> a copy of the decoder that draws only the person of that v_id."""
        found = copy.deepcopy(self.decoder)
        assert found.first.bias is not None
        found.first.bias += self.who(F.normalize(v_id.to(self.who.weight), dim=0))
        return found

    def grow(self, side: int, fade: float = 1.0) -> None:
        """Set the level being trained and its fade-in weight."""
        self.encoder.stage.grow(side, fade)
        self.decoder.stage.grow(side, fade)

    def checksum(self) -> str:
        """Return a fingerprint of the weights."""
        return weights_checksum(self, ())
