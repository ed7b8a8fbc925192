"""The frozen networks that the generator's losses run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reliableswap.geometry.measures_torch import MeshDifference
from reliableswap.models import FixerNet, IdentityEncoder, PerceptualFeatures
from reliableswap.runtime.torch import frozen_copy

from .views import MeshReader, fixer_window, identity_window


class FrozenNetworks(nn.Module):
    """Copies made for speed: norms are folded into convolutions, whose weights have `dtype`.

    `more_identities` take part in the identity loss only: a face optimised for one encoder convinces that one alone.
    """

    def __init__(
        self,
        identity: IdentityEncoder,
        fixer: FixerNet | None = None,
        features: PerceptualFeatures | None = None,
        mesh_reader: MeshReader | None = None,
        more_identities: Sequence[IdentityEncoder] = (),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.identity = frozen_copy(identity, dtype)
        self.fixer = frozen_copy(fixer, dtype) if fixer is not None else None
        self.features = frozen_copy(features, dtype) if features is not None else None
        self.mesh_reader = frozen_copy(mesh_reader, dtype) if mesh_reader is not None else None
        self.more_identities = nn.ModuleList(frozen_copy(one, dtype) for one in more_identities)
        self.mesh_difference = MeshDifference()

    def networks(self) -> list[nn.Module]:
        """Return the networks that are present."""
        some = (self.identity, self.fixer, self.features, self.mesh_reader, *self.more_identities)
        return [one for one in some if one is not None]

    def embed(self, pictures: Tensor) -> Tensor:
        """(B,3,S,S) -> (B,D) v_full = [v_id ; v_fix], with gradients."""
        vectors = [self.identity(identity_window(pictures)).float()]
        if self.fixer is not None:
            vectors.append(self.fixer(fixer_window(pictures)).float())
        return torch.cat(vectors, 1)

    @torch.no_grad()
    def vectors(self, pictures: Tensor) -> Tensor:
        """(B,3,S,S) -> (B,D) v_full = [v_id ; v_fix]."""
        return self.embed(pictures)
