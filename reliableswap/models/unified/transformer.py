"""UnifiedTransformer: one network over words and picture tokens that answers about faces and draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput
from torch import Tensor, nn
from torch.nn import functional as F

from ..base import Network, check_shape, register_to_config
from .experts import GroupedExperts, Mlp, PlainExpert, Resampler, Rows, SequenceExperts
from .words import SPECIAL_TOKENS

PLACES = 64  # tokens of a picture
_EMBEDDED = 0.4  # initial standard deviation of embeddings: large beside what the blocks add at first
_LOGITS = 0.02  # initial standard deviation of the output layer's weights


@dataclass
class UnifiedOutput(BaseOutput):
    """words (B,T,V): logits of each next word. picture (B,64,K): logits of each token. balance: a loss."""

    words: Tensor
    picture: Tensor
    balance: Tensor


class TransformerBlock(nn.Module):
    """(B,L,W) -> (B,L,W): attention, then token experts."""

    def __init__(self, width: int, heads: int, experts: nn.Module, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_all, self.back = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.experts = experts

    def forward(self, x: Tensor, mask: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """mask (B,1,L,L): True where a row's place attends to a column's. rows: by task."""
        batch, length, width = x.shape
        parts = self.to_all(self.first(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.dropout(self.back(seen.transpose(1, 2).reshape(batch, length, width)))
        made, balance = self.experts(self.second(x), rows)
        return x + self.dropout(made), balance


class UnifiedTransformer(Network):
    """Words (B,T), picture tokens (B,64) and the task of each row -> UnifiedOutput.

    A question's row is: task, picture, words. A drawing's row is: task, words, picture, some of whose tokens are
    masked, with the number `codes`. Words attend to everything before them, picture tokens also to the whole picture.

    vocabulary: the words; their numbers follow those of words.SPECIAL_TOKENS. codes: size of the tokeniser's codebook.
    token_experts: routed experts per task group; 0: a plain MLP. identity: length of identity vectors.
    tokeniser_checksum, identity_checksum: the networks that it was trained with.
    """

    @register_to_config
    def __init__(
        self,
        vocabulary: Sequence[str] = (),
        codes: int = 512,
        layers: int = 6,
        width: int = 256,
        heads: int = 4,
        token_experts: int = 4,
        top_k: int = 1,
        expert_width: int = 256,
        sequence_experts: bool = True,
        identity: int = 128,
        max_words: int = 96,
        dropout: float = 0.1,
        tokeniser_checksum: str = "",
        identity_checksum: str = "",
    ) -> None:
        super().__init__()
        self.vocabulary, self.codes, self.max_words = list(vocabulary), codes, max_words
        self.identity_size = identity
        count = len(SPECIAL_TOKENS) + len(self.vocabulary)
        self.words = nn.Embedding(count, width)
        self.pieces = nn.Embedding(codes + 1, width)
        self.tasks = nn.Embedding(2, width)
        self.word_places = nn.Embedding(max_words, width)
        self.piece_places = nn.Embedding(PLACES, width)
        for table in (self.words, self.pieces, self.tasks, self.word_places, self.piece_places):
            nn.init.normal_(table.weight, std=_EMBEDDED)
        self.resampler = Resampler(identity, width) if sequence_experts else None
        self.blocks = nn.ModuleList()
        self.sequence = nn.ModuleList()
        for _ in range(layers):
            if token_experts:
                experts: nn.Module = GroupedExperts(width, expert_width, token_experts, top_k)
            else:
                experts = PlainExpert(width, expert_width * (1 + top_k))
            self.blocks.append(TransformerBlock(width, heads, experts, dropout))
            if sequence_experts:
                self.sequence.append(SequenceExperts(width))
        self.norm = nn.LayerNorm(width)
        self.to_words, self.to_pieces = nn.Linear(width, count), nn.Linear(width, codes)
        # Scores are the exponentials of these logits; make them add up to 1 at the start.
        nn.init.constant_(self.to_pieces.bias, -math.log(codes))
        nn.init.normal_(self.to_pieces.weight, std=_LOGITS)
        self._scale_residual_init()

    @torch.no_grad()
    def _scale_residual_init(self) -> None:
        """Scale down what blocks add at first: otherwise it drowns the token embeddings in the deeper blocks."""
        factor = 1 / math.sqrt(2 * len(self.blocks))
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            for part in (block.back, *(one[2] for one in block.experts.modules() if isinstance(one, Mlp))):
                assert isinstance(part, nn.Linear)
                part.weight.mul_(factor)
                nn.init.zeros_(part.bias)

    @torch.no_grad()
    def start_from_codes(self, codes: Tensor) -> None:
        """Initialise embeddings and logits so that similar codes (K,D) of a codebook start alike; half is random.

        Tokens are rare: in ten thousand faces, each occurs about twenty times at a given place. This way, what is
        learnt about one code also applies to its neighbours.
        """
        apart = F.normalize(codes.float() - codes.float().mean(0), dim=1)
        tables = ((self.pieces.weight[: self.codes], _EMBEDDED), (self.to_pieces.weight, _LOGITS))
        for table, scale in tables:
            projected = apart @ torch.randn(apart.shape[1], table.shape[1]).to(apart)
            table.copy_(scale * (projected + torch.randn(table.shape).to(projected)) / math.sqrt(2))

    @property
    def mask(self) -> int:
        """The number of a picture token that is not drawn yet; it follows the codebook's."""
        return self.codes

    def forward(
        self,
        words: Tensor,
        picture: Tensor,
        drawing: Tensor,
        identity: Tensor,
        identified: Tensor,
        drawn: int | None = None,
    ) -> UnifiedOutput:
        """words (B,T), padded with 0; picture (B,64); drawing (B,) bool; identity (B,D); identified (B,) bool: whether
        to use it. drawn: the number of drawings, if they are the last rows: saves waiting for the device."""
        self._check(words, picture, identity)
        if drawn is None:
            rows: Rows = (torch.where(~drawing)[0], torch.where(drawing)[0])
        else:
            rows = (slice(len(words) - drawn), slice(len(words) - drawn, None))
        x, places = self._sequence(words, picture, drawing)
        mask = self._attention_mask(words, drawing)
        level = self._level((picture == self.mask).float().mean(1)).to(x.dtype)
        identity_tokens = self.resampler(identity.to(x.dtype)) if self.resampler is not None else None
        balance = x.new_zeros((), dtype=torch.float32)
        for number, block in enumerate(self.blocks):
            before = x
            x, uneven = block(x, mask, rows)
            balance = balance + uneven / len(self.blocks)
            if identity_tokens is not None:
                pooled = x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2])).mean(1)
                x = self.sequence[number](before, x, pooled, drawing, level, identity_tokens, identified)
        x = self.norm(x)
        split = words.shape[1]
        ask, draw = x[:, 1 + PLACES :], x[:, 1 : 1 + split]
        to_words = torch.where(drawing[:, None, None], draw, ask)
        pieces = torch.where(drawing[:, None, None], x[:, 1 + split :], x[:, 1 : 1 + PLACES])
        return UnifiedOutput(self.to_words(to_words), self.to_pieces(pieces), balance)

    def _sequence(self, words: Tensor, picture: Tensor, drawing: Tensor) -> tuple[Tensor, Tensor]:
        """(B,1+64+T,W) the embedded rows, and (B,64) the positions of their picture tokens."""
        count = words.shape[1]
        text = self.words(words) + self.word_places.weight[:count]
        pieces = self.pieces(picture) + self.piece_places.weight
        start = self.tasks(drawing.long())[:, None]
        ask, draw = torch.cat([start, pieces, text], 1), torch.cat([start, text, pieces], 1)
        numbers = torch.arange(PLACES, device=words.device) + 1
        places = numbers + drawing[:, None].long() * count
        return torch.where(drawing[:, None, None], draw, ask), places

    def _attention_mask(self, words: Tensor, drawing: Tensor) -> Tensor:
        """(B,1,L,L) True where the row's place attends to the column's."""
        count = words.shape[1]
        length = 1 + PLACES + count
        base = torch.ones(length, length, dtype=torch.bool, device=words.device).tril()
        ask, draw = base.clone(), base.clone()
        ask[1 : 1 + PLACES, 1 : 1 + PLACES] = True
        draw[1 + count :, 1 + count :] = True
        there = words != 0
        # A padded word attends to itself, so that no row of the attention is empty.
        padded = base.new_ones(len(words), length)
        padded[:, 1 : 1 + count] = there | ~drawing[:, None]
        mask = torch.where(drawing[:, None, None], draw, ask) & padded[:, None]
        return (mask | torch.eye(length, dtype=torch.bool, device=words.device))[:, None]

    def _level(self, share: Tensor) -> Tensor:
        """(B,) the masked share of the picture -> (B,W) its sine and cosine embedding."""
        half = self.words.embedding_dim // 2
        rates = torch.exp(torch.arange(half, device=share.device) * (math.log(100.0) / half)) * math.pi / 2
        angles = share[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], 1)

    def _check(self, words: Tensor, picture: Tensor, identity: Tensor) -> None:
        check_shape("words", words, (None, None))
        if words.shape[1] > self.max_words:
            raise ValueError(
                f"words has {words.shape[1]} words per row; at most {self.max_words} are supported"
            )
        check_shape("picture", picture, (len(words), PLACES))
        check_shape("identity", identity, (len(words), self.identity_size))
