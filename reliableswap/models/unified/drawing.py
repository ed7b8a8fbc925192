"""Masked discrete diffusion: masks, the two losses that D3Diff adds up, and drawing. See docs/unified.md."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_LARGEST = 12.0  # logits are clipped to this before the exponential


def mask_share(uniform: Tensor) -> Tensor:
    """(B,) numbers in 0..1 -> (B,) the share of tokens to mask, by the cosine schedule."""
    return torch.cos(uniform * (math.pi / 2))


def masked(tokens: Tensor, share: Tensor, mask: int) -> tuple[Tensor, Tensor]:
    """(B,P) tokens with that share of each row masked at random, at least one; and (B,P) where."""
    count = (share * tokens.shape[1]).round().clamp(1, tokens.shape[1])
    rank = torch.rand(tokens.shape, device=tokens.device).argsort(1).argsort(1)
    where = rank < count[:, None]
    return tokens.masked_fill(where, mask), where


def mask_loss(logits: Tensor, tokens: Tensor, where: Tensor) -> Tensor:
    """(B,P,K), (B,P), (B,P) -> (B,) the mean cross-entropy over the masked tokens."""
    each = F.cross_entropy(logits.float().transpose(1, 2), tokens, reduction="none")
    return (each * where).sum(1) / where.sum(1)


def score_loss(logits: Tensor, tokens: Tensor, where: Tensor) -> Tensor:
    """(B,P,K), (B,P), (B,P) -> (B,) the score entropy of each row, per token.

    exp(logits) are the scores without the factor that depends on the mask share t. A masked token weighs 1 / t.
    """
    values = logits.float()
    total = values.clamp(max=_LARGEST).exp().sum(2)
    true = values.gather(2, tokens[:, :, None])[:, :, 0]
    each = (total - 1 - true) * where
    share = where.float().mean(1)
    return each.mean(1) / share


def draw_tokens(
    logits_of: Callable[[Tensor], Tensor],
    count: int,
    mask: int,
    steps: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    choice_temperature: float = 4.0,
) -> Tensor:
    """(N,64) tokens, sampled from all masks in `steps` steps that each keep the most confident guesses (MaskGIT).

    logits_of: (N,64) tokens -> (N,64,K) logits. choice_temperature: noise in which guesses stay, decreasing by step.
    """
    tokens = torch.full((count, 64), mask, dtype=torch.long)
    for step in range(steps):
        logits = logits_of(tokens).float().cpu()
        probabilities = F.softmax(logits / max(temperature, 1e-3), 2)
        guesses = torch.multinomial(probabilities.flatten(0, 1), 1, generator=generator).view(count, 64)
        open_places = tokens == mask
        guesses = torch.where(open_places, guesses, tokens)
        if step == steps - 1:
            return guesses
        sure = F.log_softmax(logits, 2).gather(2, guesses[:, :, None])[:, :, 0]
        chance = -torch.rand(sure.shape, generator=generator).clamp(1e-9, 1 - 1e-7).log().neg().log()
        heat = choice_temperature * (1 - (step + 1) / steps)
        sure = (sure + heat * chance).masked_fill(~open_places, torch.inf)
        left = max(1, round(64 * math.cos((step + 1) / steps * math.pi / 2)))
        left = min(left, int(open_places.sum(1).min()) - 1) if int(open_places.sum(1).min()) > 1 else 1
        order = sure.argsort(1)
        tokens = guesses.scatter(1, order[:, :left], mask)
    return tokens
