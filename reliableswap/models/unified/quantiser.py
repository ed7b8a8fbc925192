"""Quantiser: the nearest of K unit vectors for each place, which follow the encoder by moving averages."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional as F

_DECAY = 0.99  # of the averages that a code is made of
_DEAD = 0.05  # uses a step, on average, below which a code is moved to a vector of the batch


class Quantised(NamedTuple):
    """vectors (B,D,h,w): the codes, with the gradient of what they replace. tokens (B,h,w): their numbers.

    commitment: how far the encoder's vectors lie from their codes, 0 to 4.
    """

    vectors: Tensor
    tokens: Tensor
    commitment: Tensor


class Quantiser(nn.Module):
    """(B,D,h,w) -> Quantised. Vectors are compared by direction, so that codes compete on equal terms.

    In training each call moves the codes: no gradient reaches them. A code that is hardly used any more is moved to a
    random vector of the batch. Ranks share their sums, so that all have the same codes.
    """

    codes: Tensor
    sums: Tensor
    uses: Tensor
    ready: Tensor

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        start = F.normalize(torch.randn(codes, width), dim=1)
        self.register_buffer("codes", start)
        self.register_buffer("sums", start.clone())
        self.register_buffer("uses", torch.ones(codes))
        self.register_buffer("ready", torch.zeros(()))

    def forward(self, x: Tensor) -> Quantised:
        batch, width, height, columns = x.shape
        with torch.autocast(x.device.type, enabled=False):
            flat = F.normalize(x.float().permute(0, 2, 3, 1).reshape(-1, width), dim=1)
            if self.training:
                self._begin(flat.detach())
            codes = self.codes.float()
            tokens = (flat.detach() @ codes.t()).argmax(1)
            found = codes[tokens]
            commitment = (flat - found).square().sum(1).mean()
            if self.training:
                self._move(flat.detach(), tokens)
            passed = flat + (found - flat).detach()
        vectors = passed.view(batch, height, columns, width).permute(0, 3, 1, 2)
        return Quantised(vectors, tokens.view(batch, height, columns), commitment)

    def look_up(self, tokens: Tensor) -> Tensor:
        """(B,h,w) tokens -> (B,D,h,w) their codes."""
        return self.codes[tokens].permute(0, 3, 1, 2)

    @torch.no_grad()
    def _begin(self, flat: Tensor) -> None:
        """Start with vectors of the first batch."""
        if self.ready.item():
            return
        chosen = flat[torch.randint(len(flat), (len(self.codes),), device=flat.device)]
        chosen = F.normalize(chosen + 0.05 * torch.randn_like(chosen) / math.sqrt(flat.shape[1]), dim=1)
        self._from_first(chosen)
        self.codes.copy_(chosen)
        self.sums.copy_(chosen)
        self.ready.fill_(1.0)

    @torch.no_grad()
    def _move(self, flat: Tensor, tokens: Tensor) -> None:
        """Average the vectors of each code over the last steps, and move the codes there."""
        uses = torch.bincount(tokens, minlength=len(self.codes)).to(flat)
        sums = torch.zeros_like(self.sums).index_add_(0, tokens, flat)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(uses)
            torch.distributed.all_reduce(sums)
        self.uses.lerp_(uses, 1 - _DECAY)
        self.sums.lerp_(sums, 1 - _DECAY)
        dead = self.uses < _DEAD
        chosen = flat[torch.randint(len(flat), (len(self.codes),), device=flat.device)]
        self._from_first(chosen)
        self.sums[dead] = chosen[dead]
        self.uses[dead] = 1.0
        self.codes.copy_(F.normalize(self.sums, dim=1))

    @staticmethod
    def _from_first(chosen: Tensor) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.broadcast(chosen, 0)
