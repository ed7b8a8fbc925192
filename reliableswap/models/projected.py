"""ProjectedDiscriminator: judges a frozen network's features instead of pixels (Sauer et al., Projected GANs)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from .base import Network, check_shape, register_to_config
from .discriminator import Judgement, PatchJudge
from .perceptual import PerceptualFeatures


class RandomMixing(nn.Module):
    """Feature maps of these widths at strides 4, 8, 16, 32 -> as many of equal width; fixed random projections.

    Each map's channels are mixed (1x1), then what the coarser maps know is added on (3x3), coarse to fine, so
    that no judge can settle on the few channels that give a fake away.
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
    """(B,3,H,W) in [-1,1], sides divisible by 32 -> Judgement, one map of logits a feature level.

    Only the judges learn; the features and the projections are frozen but saved along. A new one is made with
    `ProjectedDiscriminator.over(reliableswap.convert.perceptual.pretrained_perceptual_features())`.
    """

    @register_to_config
    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self._through: list[nn.Module] = []
        self.features = PerceptualFeatures()
        self.mixing = RandomMixing(self.features.channels, channels)
        # The finest map is halved three times, the coarsest never: all patches are judged at stride 32.
        self.judges = nn.ModuleList(PatchJudge(channels, channels, halvings) for halvings in (3, 2, 1, 0))

    @classmethod
    def over(cls, features: PerceptualFeatures, **settings: Any) -> Self:
        """A fresh discriminator over these features."""
        discriminator = cls(**settings)
        discriminator.features.load_state_dict(features.state_dict())
        return discriminator

    def look_through(self, features: nn.Module) -> None:
        """Use this copy of the features instead, such as a quickened one; it is neither saved nor moved along."""
        self._through = [features]

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Only the judges ever learn."""
        self.judges.requires_grad_(requires_grad)
        return self

    def forward(self, pictures: Tensor) -> Judgement:
        """(B,3,H,W) in [-1,1] -> logits and the judges' inner maps of every feature level."""
        check_shape("pictures", pictures, (None, 3, None, None), 32)
        judgement = Judgement([], [])
        features = self._through[0] if self._through else self.features
        for judge, x in zip(self.judges, self.mixing(features(pictures)), strict=True):
            logits, maps = judge(x)
            judgement.logits.append(logits)
            judgement.features.append(maps)
        return judgement
