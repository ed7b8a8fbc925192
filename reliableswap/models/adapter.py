"""IdentityAdapter: a trainable encoder beside the frozen identity encoder, as in CSCS' implicit adaption.

A frozen encoder is made to tell people apart, and its vector lacks what else it takes to draw them. The adapter starts
as a copy of the encoder and is trained with the generator, while the identity loss uses the frozen encoder alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .base import Network, check_shape
from .identity import IDENTITY_SIZE, Normalise, face_body

JOINS = ("add", "concat", "replace")
_ENCODER = ("body", "embedding_size", "mean", "std")  # what an adapter takes from an encoder's config


def adapter_config(encoder: Network) -> dict[str, Any]:
    """Return the encoder's settings, as a generator's config stores them."""
    values = {name: encoder.config[name] for name in _ENCODER}
    return {name: list(v) if isinstance(v, (list, tuple)) else v for name, v in values.items()}


class IdentityAdapter(nn.Module):
    """(B,3,112,112) RGB in [-1,1], the identity window of the source's crop -> (B,D), to be joined with v_id.

    join: "add" adds the vector to v_id, "concat" appends it to v_full, "replace" puts it in place of v_id. At the start
    it is zero for the first two and v_id for the third, so a generator that is given an adapter swaps as before.
    """

    def __init__(self, join: str, encoder: Mapping[str, Any]) -> None:
        super().__init__()
        if join not in JOINS:
            raise ValueError(f"adapter_join is {join!r}; choose one of {', '.join(JOINS)}")
        self.mode, self.size = join, int(encoder["embedding_size"])
        self.normalise = Normalise(encoder["mean"], encoder["std"])
        self.trunk = face_body(encoder["body"], self.size, IDENTITY_SIZE)
        self.last = nn.Linear(self.size, self.size)
        with torch.no_grad():
            self.last.weight.copy_(torch.eye(self.size) * (join == "replace"))
            self.last.bias.zero_()

    def start_from(self, encoder: Network) -> None:
        """Copy the weights of the frozen encoder."""
        names = {name: value for name, value in encoder.state_dict().items() if name.startswith("trunk.")}
        self.trunk.load_state_dict({name.removeprefix("trunk."): value for name, value in names.items()})

    def train(self, mode: bool = True) -> Self:
        """Keep batch norms in eval mode, with the encoder's statistics: training faces differ from those it saw."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.eval()
        return self

    def forward(self, faces: Tensor) -> Tensor:
        """(B,3,112,112) in [-1,1] -> (B,D)."""
        check_shape("faces", faces, (None, 3, IDENTITY_SIZE, IDENTITY_SIZE))
        return self.last(F.normalize(self.trunk(self.normalise(faces)), dim=1))

    def join(self, identity: Tensor, adapted: Tensor) -> Tensor:
        """(B,D+F) v_full, (B,D) the adapter's output -> (B, D+F) or, for concat, (B, D+F+D)."""
        adapted = adapted.to(identity.dtype)
        if self.mode == "concat":
            return torch.cat([identity, adapted], 1)
        v_id, v_fix = identity[:, : self.size], identity[:, self.size :]
        return torch.cat([v_id + adapted if self.mode == "add" else adapted, v_fix], 1)
