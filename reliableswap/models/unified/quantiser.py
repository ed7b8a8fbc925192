"""Quantiser: maps each place to the nearest of K unit vectors, which follow the encoder by moving averages."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional as F

_DECAY = 0.97  # of the codes' moving averages
_DEAD = 0.1  # share of the mean use below which a code is moved to a vector of the batch


class Quantised(NamedTuple):
    """vectors (B,D,h,w): the codes, with the gradient passed straight to the encoder. tokens (B,h,w): their indices.

    commitment: mean squared distance of the encoder's vectors from their codes, 0 to 4.
    """

    vectors: Tensor
    tokens: Tensor
    commitment: Tensor


class Quantiser(nn.Module):
    """(B,D,h,w) -> Quantised. Vectors are compared by direction, so that codes compete on equal terms.

    In training each call moves the codes; no gradient reaches them. A code that is hardly used any more is moved to a
    random vector of the batch. The first `warm_up` calls pass the vectors through unchanged, and the next call sets the
    codes to vectors of its batch: those of a new encoder are all alike, and it would never leave the few codes that it
    starts with. Ranks sum their statistics, so that all have the same codes.

    fixed: training leaves the codes unchanged too, and there is no warm-up.

    noise: mean share of a picture's codes that training replaces by those of another picture at the same place. The
    decoder so learns to make one face of codes that do not fit together, as sampled ones sometimes do not.
    """

    codes: Tensor
    sums: Tensor
    uses: Tensor
    calls: Tensor

    def __init__(self, codes: int, width: int, warm_up: int = 0, noise: float = 0.0) -> None:
        super().__init__()
        self.warm_up, self.noise, self.fixed = warm_up, noise, False
        self._warm = False  # whether `calls` is known to exceed warm_up; reading `calls` waits for the device
        start = F.normalize(torch.randn(codes, width), dim=1)
        self.register_buffer("codes", start)
        self.register_buffer("sums", start.clone())
        self.register_buffer("uses", torch.ones(codes))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Quantised:
        batch, width, height, columns = x.shape
        with torch.autocast(x.device.type, enabled=False):
            flat = F.normalize(x.float().permute(0, 2, 3, 1).reshape(-1, width), dim=1)
            moving = self.training and not self.fixed
            early = moving and self._begin(flat.detach())
            codes = self.codes.float()
            tokens = (flat.detach() @ codes.t()).argmax(1)
            found = codes[tokens]
            commitment = (flat - found).square().sum(1).mean()
            if moving and not early:
                self._move(flat.detach(), tokens)
            passed = flat if early else flat + (found - flat).detach()
            if self.training and self.noise and not early:
                passed = self._mixed(passed.view(batch, -1, width), found.view(batch, -1, width)).flatten(
                    0, 1
                )
            commitment = commitment * (0.0 if early else 1.0)
        vectors = passed.view(batch, height, columns, width).permute(0, 3, 1, 2)
        return Quantised(vectors, tokens.view(batch, height, columns), commitment)

    def look_up(self, tokens: Tensor) -> Tensor:
        """(B,h,w) tokens -> their codes (B,D,h,w)."""
        return self.codes[tokens].permute(0, 3, 1, 2)

    def _mixed(self, passed: Tensor, found: Tensor) -> Tensor:
        """(B,P,D) with some codes taken from the batch's previous picture, a random share of each picture."""
        share = 2 * self.noise * torch.rand(len(passed), 1, 1, device=passed.device)
        other = torch.rand(*passed.shape[:2], 1, device=passed.device) < share
        return torch.where(other, found.roll(1, 0), passed)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._warm = False
        super()._load_from_state_dict(*args, **kwargs)

    @torch.no_grad()
    def _begin(self, flat: Tensor) -> bool:
        """Count the call and return whether it belongs to the warm-up. The call after the warm-up sets the codes."""
        if self._warm or self.calls > self.warm_up:
            self._warm = True
            return False
        self.calls += 1
        if self.calls <= self.warm_up:
            return True
        chosen = flat[torch.randint(len(flat), (len(self.codes),), device=flat.device)]
        chosen = F.normalize(chosen + 0.05 * torch.randn_like(chosen) / math.sqrt(flat.shape[1]), dim=1)
        self._from_first(chosen)
        self.codes.copy_(chosen)
        self.uses.fill_(len(flat) / len(self.codes))
        self.sums.copy_(chosen * self.uses[:, None])
        return False

    @torch.no_grad()
    def _move(self, flat: Tensor, tokens: Tensor) -> None:
        """Average the vectors of each code over the last steps, and move the codes there."""
        uses = torch.zeros_like(self.uses).index_add_(0, tokens, torch.ones_like(flat[:, 0]))
        sums = torch.zeros_like(self.sums).index_add_(0, tokens, flat)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(uses)
            torch.distributed.all_reduce(sums)
        self.uses.lerp_(uses, 1 - _DECAY)
        self.sums.lerp_(sums, 1 - _DECAY)
        mean = uses.sum() / len(uses)
        dead = self.uses < _DEAD * mean
        chosen = flat[torch.randint(len(flat), (len(self.codes),), device=flat.device)]
        self._from_first(chosen)
        self.sums.copy_(torch.where(dead[:, None], chosen * mean, self.sums))
        self.uses.copy_(torch.where(dead, mean, self.uses))
        self.codes.copy_(F.normalize(self.sums, dim=1))

    @staticmethod
    def _from_first(chosen: Tensor) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.broadcast(chosen, 0)
