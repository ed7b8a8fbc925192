"""ProjectedDiscriminator: judges a frozen network's features, not pixels (Sauer et al. 2021, Projected GANs)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.nn import functional as F

from .base import Network, check_shape, register_to_config
from .discriminator import Judgement, PatchJudge
from .perceptual import PerceptualFeatures


class RandomMixing(nn.Module):
    """Feature maps (B,widths[i],h,w) at strides 4, 8, 16, 32 -> maps (B,channels,h,w) by fixed random convolutions.

    A 1x1 convolution mixes each map's channels, and a 3x3 one adds in the coarser map, coarse to fine. Without mixing,
    discriminators rely on the few channels that are easiest to tell apart.
    """

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.channels = nn.ModuleList(nn.Conv2d(width, channels, 1, bias=False) for width in widths)
        self.scales = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in widths)
        for conv in (*self.channels, *self.scales):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        self.requires_grad_(False)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        mixed: list[Tensor] = []
        coarser: Tensor | None = None
        for projection, fusion, x in reversed(list(zip(self.channels, self.scales, maps, strict=True))):
            x = projection(x)
            if coarser is not None:
                x = x + F.interpolate(coarser, scale_factor=2.0, mode="bilinear", align_corners=False)
            coarser = fusion(x)
            mixed.insert(0, coarser)
        return mixed


class ProjectedDiscriminator(Network):
    """(B,3,H,W) in [-1,1], sides divisible by 32 -> Judgement with one map of logits per feature level.

    Only the judges are trained; the frozen features and projections are saved with them. Make a new one with
    `ProjectedDiscriminator.from_features(reliableswap.convert.perceptual.pretrained_perceptual_features())`.
    """

    @register_to_config
    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self._faster_features: list[nn.Module] = []  # in a list, so that it is not registered as a submodule
        self.features = PerceptualFeatures()
        self.mixing = RandomMixing(self.features.channels, channels)
        # The finest map is halved three times, the coarsest never: all logits are at stride 32.
        self.judges = nn.ModuleList(PatchJudge(channels, channels, halvings) for halvings in (3, 2, 1, 0))

    @classmethod
    def from_features(cls, features: PerceptualFeatures, **settings: Any) -> Self:
        """Return an untrained discriminator with a copy of these features."""
        discriminator = cls(**settings)
        discriminator.features.load_state_dict(features.state_dict())
        return discriminator

    def use_features(self, features: nn.Module) -> None:
        """Use a faster copy of the features, such as a `frozen_copy`; it is neither saved nor moved with the module."""
        self._faster_features = [features]

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set it for the judges only; everything else stays frozen."""
        self.judges.requires_grad_(requires_grad)
        return self

    def forward(self, pictures: Tensor) -> Judgement:
        """(B,3,H,W) in [-1,1] -> logits and the judges' feature maps for every feature level."""
        check_shape("pictures", pictures, (None, 3, None, None), 32)
        judgement = Judgement([], [])
        features = self._faster_features[0] if self._faster_features else self.features
        for judge, x in zip(self.judges, self.mixing(features(pictures)), strict=True):
            logits, maps = judge(x)
            judgement.logits.append(logits)
            judgement.features.append(maps)
        return judgement
