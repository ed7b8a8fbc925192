"""The transformer's experts: for tokens, one set per task group, and for whole sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COPY, ZERO, NOISE, IDENTITY = range(4)
_CHUNK = 16  # entries of the identity vector per key of the resampler
_COPY_FIRST = 2.0  # initial router bias of COPY and IDENTITY


class Mlp(nn.Sequential):
    """(N,W) -> (N,W)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


def _in_float32(router: nn.Module, x: Tensor) -> Tensor:
    """Apply a linear layer in float32 whatever the network's dtype, so that rounding does not decide close choices."""
    assert isinstance(router, nn.Linear)
    bias = None if router.bias is None else router.bias.float()
    return F.linear(x.float(), router.weight.float(), bias)


class TokenExperts(nn.Module):
    """(N,W) -> (N,W) and the balance loss: an expert for all tokens, and each token's best `top_k` of the others."""

    def __init__(self, width: int, hidden: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.shared = Mlp(width, hidden)
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(Mlp(width, hidden) for _ in range(experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            probabilities = F.softmax(_in_float32(self.router, x), 1)
        best, chosen = probabilities.topk(self.top_k, 1)
        weights = torch.zeros_like(probabilities).scatter(1, chosen, best)
        count = max(1, len(x))  # a batch may hold no row of this group; its experts still take part
        share = torch.zeros_like(probabilities).scatter(1, chosen, 1.0).sum(0) / (count * self.top_k)
        # 1 if tokens are spread evenly, up to the number of experts if one gets them all (Switch Transformers).
        return self._mixed(x, weights), len(self.experts) * (share * probabilities.sum(0) / count).sum()

    def _mixed(self, x: Tensor, weights: Tensor) -> Tensor:
        """Add the shared expert and the others by their weights (N,E), all computed in two matrix products.

        The experts are so small that this costs less than sorting tokens, which would make the CPU wait for the GPU.
        """
        mlps = [self.shared, *self.experts]
        first, last = [mlp[0] for mlp in mlps], [mlp[2] for mlp in mlps]
        hidden = F.gelu(
            F.linear(x, torch.cat([one.weight for one in first]), torch.cat([one.bias for one in first]))
        )
        each = torch.cat([torch.ones_like(weights[:, :1]), weights], 1).to(hidden.dtype)
        hidden = (hidden.unflatten(1, (len(mlps), -1)) * each[:, :, None]).flatten(1)
        mixed = F.linear(hidden, torch.cat([one.weight for one in last], 1))
        return mixed + F.linear(each, torch.stack([one.bias for one in last], 1))


Rows = tuple[Tensor, Tensor] | tuple[slice, slice]
"""Which rows of a batch are questions, and which are drawings: indices, or a slice of first and of last rows."""


class GroupedExperts(nn.Module):
    """(B,L,W) and its rows by task -> (B,L,W), and the balance losses of both task groups, summed."""

    def __init__(self, width: int, hidden: int, experts: int, top_k: int) -> None:
        super().__init__()
        self.groups = nn.ModuleList(TokenExperts(width, hidden, experts, top_k) for _ in range(2))

    def forward(self, x: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        parts, balance = [], x.new_zeros((), dtype=torch.float32)
        for number, group in enumerate(self.groups):
            given = x[rows[number]]
            made, uneven = group(given.flatten(0, 1))
            parts.append(made.view(len(given), *x.shape[1:]).to(x.dtype))
            balance = balance + uneven
        out = torch.cat(parts)
        if isinstance(rows[0], Tensor):
            out = torch.zeros_like(x).index_copy(0, torch.cat(rows), out)
        return out, balance


class PlainExpert(nn.Module):
    """The same interface with one MLP for all tokens, as wide as all experts together that a token would use."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        return self.mlp(x), x.new_zeros((), dtype=torch.float32)


class Resampler(nn.Module):
    """(B,D) identity vectors -> (B,M,W): M learnt queries attend to chunks of the vector."""

    def __init__(self, identity: int, width: int, tokens: int = 8) -> None:
        super().__init__()
        self.pieces = -(-identity // _CHUNK)
        self.pad = self.pieces * _CHUNK - identity
        self.keys = nn.Linear(_CHUNK, width)
        self.places = nn.Parameter(0.02 * torch.randn(self.pieces, width))
        self.questions = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.whole = nn.Linear(identity, width)

    def forward(self, vectors: Tensor) -> Tensor:
        vectors = vectors * vectors.shape[1] ** 0.5  # scale the entries of unit vectors to about 1
        keys = self.keys(F.pad(vectors, (0, self.pad)).unflatten(1, (self.pieces, _CHUNK))) + self.places
        questions = self.questions.expand(len(vectors), -1, -1)
        found = F.scaled_dot_product_attention(questions.to(keys.dtype), keys, keys)
        return found + self.whole(vectors)[:, None]


class SequenceExperts(nn.Module):
    """A block's input and output (B,L,W) -> (B,L,W): a mixture of four experts, weighted per sequence.

    copy: the block's output. zero: its input, which skips the block. noise: the output plus a function of the noise
    level, for drawings only. identity: the output plus attention to the identity vector, for questions only.
    The weights depend on the picture's tokens alone: pooled words would leak the answer to the tokens that predict it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.routers = nn.ModuleList(nn.Linear(width, 4) for _ in range(2))
        for router in self.routers:
            assert isinstance(router, nn.Linear)
            nn.init.zeros_(router.weight)
            nn.init.zeros_(router.bias)
            # At the start, copy and identity weigh most.
            with torch.no_grad():
                router.bias[[COPY, IDENTITY]] = _COPY_FIRST
        self.noise = Mlp(width, width)
        self.norm = nn.LayerNorm(width)
        self.asks = nn.Linear(width, width)
        self.tells = nn.Linear(width, 2 * width)

    def weights(self, pooled: Tensor, drawing: Tensor, identified: Tensor) -> Tensor:
        """(B,W) means of the picture's tokens -> (B,4) weights of copy, zero, noise, identity."""
        with torch.autocast(pooled.device.type, enabled=False):
            ask, draw = (_in_float32(router, pooled) for router in self.routers)
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
        """level (B,W): the noise level's embedding. identity (B,M,W): the Resampler's, used where identified (B,)."""
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
