"""Experts of the transformer: of tokens, for each task group, and of whole sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COPY, ZERO, NOISE, IDENTITY = range(4)
_CHUNK = 16  # numbers of the identity vector that make one key of the resampler
_COPY_FIRST = 2.0  # how much more copying weighs at the start


class Mlp(nn.Sequential):
    """(N,W) -> (N,W)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class TokenExperts(nn.Module):
    """(N,W) -> (N,W) and the balance loss: an expert that all tokens share, and the best `top_k` of some others."""

    def __init__(self, width: int, hidden: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.shared = Mlp(width, hidden)
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(Mlp(width, hidden) for _ in range(experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            odds = F.softmax(self.router(x.float()), 1)
        best, chosen = odds.topk(self.top_k, 1)
        out = self.shared(x)
        for number, expert in enumerate(self.experts):
            rows, rank = torch.where(chosen == number)
            made = expert(x[rows]) * best[rows, rank, None].to(out.dtype)
            out = out.index_add(0, rows, made.to(out.dtype))
        count = max(1, len(x))  # a batch may hold no row of this group; its experts take part all the same
        share = F.one_hot(chosen, len(self.experts)).float().sum((0, 1)) / (count * self.top_k)
        # 1 if tokens spread evenly, up to the number of experts if one gets all (Switch Transformers).
        return out, len(self.experts) * (share * odds.sum(0) / count).sum()


class GroupedExperts(nn.Module):
    """(B,L,W) and whether rows are drawn (B,) -> (B,L,W), and the balance losses of both task groups, summed."""

    def __init__(self, width: int, hidden: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.groups = nn.ModuleList(TokenExperts(width, hidden, experts, top_k) for _ in range(2))

    def forward(self, x: Tensor, drawing: Tensor) -> tuple[Tensor, Tensor]:
        out, balance = torch.zeros_like(x), x.new_zeros((), dtype=torch.float32)
        for number, group in enumerate(self.groups):
            rows = torch.where(drawing == bool(number))[0]
            made, uneven = group(x[rows].flatten(0, 1))
            out = out.index_copy(0, rows, made.view(len(rows), *x.shape[1:]).to(out.dtype))
            balance = balance + uneven
        return out, balance


class PlainExpert(nn.Module):
    """The same interface with one MLP for all, as wide as an expert's token sees in all."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, drawing: Tensor) -> tuple[Tensor, Tensor]:
        return self.mlp(x), x.new_zeros((), dtype=torch.float32)


class Resampler(nn.Module):
    """(B,D) identity vectors -> (B,M,W): M learnt questions to pieces of the vector."""

    def __init__(self, identity: int, width: int, tokens: int = 8) -> None:
        super().__init__()
        self.pieces = -(-identity // _CHUNK)
        self.pad = self.pieces * _CHUNK - identity
        self.keys = nn.Linear(_CHUNK, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.pieces, width))
        self.questions = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.whole = nn.Linear(identity, width)

    def forward(self, vectors: Tensor) -> Tensor:
        vectors = vectors * vectors.shape[1] ** 0.5  # of unit length, so its numbers are small
        keys = self.keys(F.pad(vectors, (0, self.pad)).unflatten(1, (self.pieces, _CHUNK))) + self.places
        questions = self.questions.expand(len(vectors), -1, -1)
        found = F.scaled_dot_product_attention(questions.to(keys.dtype), keys, keys)
        return found + self.whole(vectors)[:, None]


class SequenceExperts(nn.Module):
    """A block's input and output (B,L,W) -> (B,L,W): a mixture of four experts that is weighted for each sequence.

    copy: the block's output. zero: its input, so that the block is left out. noise: the output with what the noise
    level says, of drawn rows. identity: the output with what its tokens find in the identity vector, of the others.
    The weights follow from the picture's tokens alone: from words, answers would leak into what they are told by.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.routers = nn.ModuleList(nn.Linear(width, 4) for _ in range(2))
        for router in self.routers:
            assert isinstance(router, nn.Linear)
            nn.init.zeros_(router.weight)
            nn.init.zeros_(router.bias)
            # Copying and the identity vector weigh most at the start.
            with torch.no_grad():
                router.bias[[COPY, IDENTITY]] = _COPY_FIRST
        self.noise = Mlp(width, width)
        self.norm = nn.LayerNorm(width)
        self.asks = nn.Linear(width, width)
        self.tells = nn.Linear(width, 2 * width)

    def weights(self, pooled: Tensor, drawing: Tensor, identified: Tensor) -> Tensor:
        """(B,W) means of the picture's tokens -> (B,4): copy, zero, noise, identity."""
        with torch.autocast(pooled.device.type, enabled=False):
            ask, draw = (router(pooled.float()) for router in self.routers)
            logits = torch.where(drawing[:, None], draw, ask)
        closed = torch.zeros_like(logits, dtype=torch.bool)
        closed[:, NOISE] = ~drawing
        closed[:, IDENTITY] = drawing | ~identified
        return F.softmax(logits.masked_fill(closed, -torch.inf), 1)

    def forward(
        self,
        before: Tensor,
        after: Tensor,
        pooled: Tensor,
        drawing: Tensor,
        level: Tensor,
        identity: Tensor,
        identified: Tensor,
    ) -> Tensor:
        """level (B,W): the noise level's embedding. identity (B,M,W): of the Resampler, if identified (B,)."""
        weights = self.weights(pooled, drawing, identified).to(after.dtype)[:, :, None, None]
        keys, values = self.tells(identity).chunk(2, -1)
        found = F.scaled_dot_product_attention(self.asks(self.norm(after)), keys, values)
        kept = weights[:, COPY] + weights[:, NOISE] + weights[:, IDENTITY]
        return (
            kept * after
            + weights[:, ZERO] * before
            + weights[:, NOISE] * self.noise(level)[:, None]
            + weights[:, IDENTITY] * found
        )
