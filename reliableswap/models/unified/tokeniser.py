"""FaceTokeniser: encodes faces of 128 px as 64 codebook indices, and decodes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F

from ..base import Network, check_shape, register_to_config
from ..compat import weights_checksum
from .quantiser import Quantiser

SIZE = 128
GRID = 8  # tokens a side


@dataclass
class TokeniserOutput(BaseOutput):
    """picture (B,3,128,128): the face decoded from its tokens. tokens (B,64). commitment: a loss for the encoder."""

    picture: Tensor
    tokens: Tensor
    commitment: Tensor


class PixelNorm(nn.Module):
    """(B,C,H,W) -> the same: each pixel's channels divided by their root mean square, and weighted."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        inverse = (x.float().square().mean(1, keepdim=True) + 1e-5).rsqrt()
        return x * inverse.to(x.dtype) * self.weight.to(x.dtype)[:, None, None]


class Block(nn.Module):
    """(B,C,H,W) -> the same: two convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = PixelNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(F.silu(self.norm(x)))))


class SelfAttention(nn.Module):
    """(B,C,h,w) -> the same: self-attention over all places."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = PixelNorm(channels)
        self.place = nn.Parameter(0.02 * torch.randn(channels, GRID, GRID))
        self.to_all = nn.Conv2d(channels, 3 * channels, 1)
        self.back = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.back.weight)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        parts = self.to_all(self.norm(x) + self.place.to(x.dtype))
        q, k, v = (
            parts.view(batch, 3, self.heads, channels // self.heads, height * width)
            .transpose(-1, -2)
            .unbind(1)
        )
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.back(seen.transpose(-1, -2).reshape(batch, channels, height, width))


class FaceTokeniser(Network):
    """(B,3,128,128) in [-1,1] -> TokeniserOutput.

    widths: the encoder's channels at 32, 16 and 8 px. decoder_widths: at 8, 16, 32 and 64 px. codes: size of the
    codebook. code_width: length of a code. warm_up: first training steps, without a codebook. code_noise: share of the
    codes that training takes from another picture. last_blocks: the decoder's blocks at 64 px.
    """

    @register_to_config
    def __init__(
        self,
        widths: Sequence[int] = (64, 96, 128),
        decoder_widths: Sequence[int] = (160, 128, 96, 48),
        codes: int = 512,
        code_width: int = 32,
        warm_up: int = 0,
        code_noise: float = 0.0,
        last_blocks: int = 1,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, first, 3, padding=1),
            Block(first),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            Block(second),
            nn.Conv2d(second, third, 4, stride=2, padding=1),
            Block(third),
            SelfAttention(third),
            Block(third),
            PixelNorm(third),
            nn.Conv2d(third, code_width, 1),
        )
        self.quantiser = Quantiser(codes, code_width, warm_up, code_noise)
        a, b, c, d = decoder_widths
        self.decoder = nn.Sequential(
            nn.Conv2d(code_width, a, 3, padding=1),
            Block(a),
            SelfAttention(a),
            Block(a),
            *_upsampling(a, b),
            Block(b),
            Block(b),
            *_upsampling(b, c),
            Block(c),
            *_upsampling(c, d),
            *(Block(d) for _ in range(last_blocks)),
            PixelNorm(d),
            nn.SiLU(),
            nn.Conv2d(d, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    @property
    def code_count(self) -> int:
        return int(self.quantiser.codes.shape[0])

    def checksum(self) -> str:
        """Return a fingerprint of encoder and codes, which determine the tokens; the decoder may be trained further."""
        return weights_checksum(self, (), ("encoder.", "quantiser.codes"))

    def keep_tokens(self) -> None:
        """Freeze encoder and codes, so that training changes the decoder alone and every picture keeps its tokens."""
        self.encoder.requires_grad_(False)
        self.quantiser.fixed = True

    def with_last_blocks(self, count: int) -> Self:
        """Return a network with more blocks at 64 px, which change nothing until they are trained."""
        had = int(self.config["last_blocks"])
        if count < had:
            raise ValueError(
                f"last_blocks is {count}; the network has {had} already, and none can be removed"
            )
        settings = {name: value for name, value in self.config.items() if not name.startswith("_")}
        made = type(self)(**{**settings, "last_blocks": count})
        places = [i for i, part in enumerate(self.decoder) if isinstance(part, Block)]
        added = range(places[-1] + 1, places[-1] + 1 + count - had)
        for i, part in enumerate(self.decoder):
            made.decoder[i if i < added.start else i + len(added)] = part
        for i in added:
            nn.init.zeros_(made.decoder[i].last.bias)
        made.encoder, made.quantiser = self.encoder, self.quantiser
        return made.to(self.device, self.dtype).train(self.training)

    def forward(self, pictures: Tensor) -> TokeniserOutput:
        """(B,3,128,128) in [-1,1] -> the pictures reconstructed from their tokens."""
        check_shape("pictures", pictures, (None, 3, SIZE, SIZE))
        found = self.quantiser(self.encoder(pictures))
        return TokeniserOutput(self._decoded(found.vectors), found.tokens.flatten(1), found.commitment)

    def encode(self, pictures: Tensor) -> Tensor:
        """(B,3,128,128) in [-1,1] -> (B,64) tokens, row by row."""
        check_shape("pictures", pictures, (None, 3, SIZE, SIZE))
        return self.quantiser(self.encoder(pictures)).tokens.flatten(1)

    def decode(self, tokens: Tensor) -> Tensor:
        """(B,64) tokens -> (B,3,128,128) in [-1,1]."""
        check_shape("tokens", tokens, (None, GRID * GRID))
        vectors = self.quantiser.look_up(tokens.view(-1, GRID, GRID))
        return self._decoded(vectors).clamp(-1, 1)

    def _decoded(self, vectors: Tensor) -> Tensor:
        made: Tensor = self.decoder(vectors.to(self.dtype))
        return made


def _upsampling(before: int, after: int) -> tuple[nn.Module, ...]:
    """(B,C,h,w) -> (B,C',2h,2w)."""
    return nn.Conv2d(before, 4 * after, 1), nn.PixelShuffle(2)
