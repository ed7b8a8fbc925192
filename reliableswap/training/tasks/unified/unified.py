"""Train the transformer that describes, answers and draws, by next words and masked discrete diffusion together."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reliableswap.bundled import bundled
from reliableswap.data.describe.language import vocabulary
from reliableswap.data.describe.rows import read_rows
from reliableswap.data.storage import work_folder
from reliableswap.models.base import Network
from reliableswap.models.identity import IdentityEncoder
from reliableswap.models.unified.drawing import mask_loss, mask_share, masked, score_loss
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.models.unified.transformer import UnifiedTransformer
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train

from .samples import IGNORED, FaceOrder, SampleTables, tokens_of
from .settings import UnifiedSettings
from .validation import Validation

__all__ = ["UnifiedSettings", "UnifiedTask", "build_transformer", "run"]


class UnifiedTask(Task):
    """Every batch has samples of both tasks, text and drawing; validation answers questions and draws."""

    def __init__(self, settings: UnifiedSettings, tokeniser: FaceTokeniser) -> None:
        super().__init__()
        self.settings, self.tokeniser = settings, tokeniser.eval().requires_grad_(False)
        if torch.cuda.is_available():
            self.tokeniser.to("cuda")
        self.faces, self.held_out = read_rows(settings.data, "train"), read_rows(settings.data, "validation")
        self.checksum = tokeniser.checksum()
        folder = work_folder(settings.output_dir) / "tokens"
        tokens = tokens_of(self.faces, tokeniser, self.checksum, folder, settings.views)
        self.samples = SampleTables(
            settings, self.faces, tokens, vocabulary(), UnifiedTransformer().max_words
        )
        self.dataset = FaceOrder(len(self.faces), settings.seed)
        self.folder = folder

    @cached_property
    def validation(self) -> Validation:
        tokens = tokens_of(self.held_out, self.tokeniser, self.checksum, self.folder)
        return Validation(self.settings, self.held_out, tokens, self.tokeniser)

    def start(self, step: int, device: torch.device) -> None:
        self.samples.to(device)

    def prepare(self, batch: Tensor) -> dict[str, Tensor]:
        return self.samples.batch(batch)

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        settings, drawing, tokens = self.settings, batch["drawing"], batch["picture"]
        share = mask_share(torch.rand(len(tokens), device=tokens.device))
        hidden, where = masked(tokens, share, self.tokeniser.code_count)
        picture = torch.where(drawing[:, None], hidden, tokens)
        drawn = self.samples.drawing_count(len(tokens))
        output = network(
            batch["words"], picture, drawing, batch["identity"], batch["identified"], drawn=drawn
        )
        found = {"balance": settings.balance_weight * output.balance}
        each = words_loss(output.words, batch["wanted"])
        found["words"] = settings.text_weight * (each * ~drawing).sum() / (~drawing).sum().clamp(min=1)
        rows = drawing.float() / drawing.sum().clamp(min=1)
        if settings.loss != "score":
            found["mask"] = settings.drawing_weight * (mask_loss(output.picture, tokens, where) * rows).sum()
        if settings.loss != "mask":
            alpha = settings.alpha if settings.loss == "d3diff" else 1.0
            each = score_loss(output.picture, tokens, where)
            found["score"] = settings.drawing_weight * alpha * (each * rows).sum()
        return found

    def validate(self, network: Network) -> dict[str, float]:
        assert isinstance(network, UnifiedTransformer)
        return self.validation.figures(network)

    def grid(self, network: Network) -> np.ndarray | None:
        assert isinstance(network, UnifiedTransformer)
        return self.validation.grid(network)

    def facts(self) -> dict[str, str]:
        return {
            "faces": f"{len(self.faces):,} described faces of adults; words follow from measured attributes",
            "held out": f"{len(self.held_out):,} faces of other people",
            "tokeniser": f"checksum {self.checksum}",
        }

    def fingerprint(self) -> dict[str, str]:
        return {"faces": self.faces.key, "tokeniser": self.checksum}


def words_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """(B,T,V), (B,T) -> (B,) the mean cross-entropy of each row's wanted words; 0 for a row without."""
    each = F.cross_entropy(logits.float().transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    return each.sum(1) / (wanted != IGNORED).sum(1).clamp(min=1)


def build_transformer(settings: UnifiedSettings, tokeniser: FaceTokeniser) -> UnifiedTransformer:
    """Make a transformer for the tokens of a tokeniser and the vectors of the bundled identity encoder."""
    encoder = IdentityEncoder.from_pretrained(bundled("identity"))
    network = UnifiedTransformer(
        vocabulary(),
        codes=tokeniser.code_count,
        layers=settings.layers,
        width=settings.width,
        heads=settings.heads,
        token_experts=settings.token_experts,
        top_k=settings.top_k,
        expert_width=settings.expert_width,
        sequence_experts=settings.sequence_experts,
        identity=encoder.embedding_size,
        dropout=settings.dropout,
        tokeniser_checksum=tokeniser.checksum(),
        identity_checksum=encoder.checksum(),
    )
    network.start_from_codes(tokeniser.quantiser.codes.cpu())
    return network


def run(settings: UnifiedSettings) -> dict[str, Any]:
    """Turn the faces into tokens, train and save; return the figures on held-out people."""
    tokeniser = FaceTokeniser.from_pretrained(settings.tokeniser)
    task = UnifiedTask(settings, tokeniser)
    torch.manual_seed(settings.seed)
    return train(build_transformer(settings, tokeniser), task, settings)
