"""Losses of the encoders: an angular margin between people, and relations within a batch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MarginHead(nn.Module):
    """(B,D), (B,) labels, margin -> the additive angular margin loss (Deng et al., CVPR 2019, eq. 3).

    Rows with label -1 (people with a single photo) are ignored.
    """

    def __init__(self, embedding_size: int, people: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.centres = nn.Parameter(F.normalize(torch.randn(people, embedding_size), dim=1))

    def forward(self, vectors: Tensor, labels: Tensor, margin: float) -> Tensor:
        # bfloat16 has three significant digits: with cosines times 64 the loss would be rounding error.
        with torch.autocast(vectors.device.type, enabled=False):
            cosine = F.normalize(vectors.float(), dim=1) @ F.normalize(self.centres.float(), dim=1).T
            known = labels >= 0
            own = labels.clamp(min=0)[:, None]
            mine = cosine.gather(1, own)
            # Clamped short of ±1, where the slope of acos is infinite. Beyond pi - m, cos(angle + m) would rise with
            # the angle; there the cosine is lowered by a constant instead, as in ArcFace's own code.
            angle = torch.acos(mine.clamp(-1 + 1e-6, 1 - 1e-6))
            lowered = mine - margin * float(np.sin(margin))
            moved = torch.where(angle < np.pi - margin, torch.cos(angle + margin), lowered)
            logits = self.scale * cosine.scatter(1, own, moved)
            each = F.cross_entropy(logits, own[:, 0], reduction="none")
            return (each * known).sum() / known.sum().clamp(min=1)


def relation_loss(vectors: Tensor, wanted: Tensor) -> Tensor:
    """(B,D) twice, of length 1 -> mean squared difference of the cosines between different faces of the batch."""
    with torch.autocast(vectors.device.type, enabled=False):  # bfloat16 has three significant digits
        off = (vectors @ vectors.T - wanted @ wanted.T).square()
    count = len(vectors) * (len(vectors) - 1)
    return (off.sum() - off.diagonal().sum()) / max(1, count)
