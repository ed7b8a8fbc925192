"""TextureDiscriminator: judges pixels and the features of a frozen network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..base import Network, register_to_config
from ..discriminator import Judgement, PatchDiscriminator, PatchJudge
from ..projected import RandomMixing

_WIDTHS = (40, 112, 320)  # of EfficientNet-Lite0's last maps


class TextureDiscriminator(Network):
    """(B,3,H,W) in [-1,1] and its PerceptualFeatures -> Judgement: of pixels at two scales, and of the last maps.

    Pixels show whether texture is fine enough, features whether it is that of skin, hair or eyes (as in Projected GANs,
    Sauer et al. 2021). The caller passes the features, because the perceptual loss needs the same ones. The first map
    is left out: its gradients cause checkerboard patterns.
    """

    @register_to_config
    def __init__(self, channels: int = 64, widths: Sequence[int] = _WIDTHS) -> None:
        super().__init__()
        self.pixels = PatchDiscriminator(channels, halvings=3, scales=2)
        self.mixing = RandomMixing(widths, channels)
        # Logits at strides 16, 16 and 32.
        self.judges = nn.ModuleList(PatchJudge(channels, channels, halvings) for halvings in (1, 0, 0))

    def requires_grad_(self, requires_grad: bool = True) -> TextureDiscriminator:
        """Set it for the trained parts; the mixing stays fixed."""
        self.pixels.requires_grad_(requires_grad)
        self.judges.requires_grad_(requires_grad)
        return self

    def forward(self, pictures: Tensor, maps: Sequence[Tensor]) -> Judgement:
        """(B,3,H,W), and maps at strides 4 to 32, the last (B,widths[i],h,w) -> logits and maps, pixels' first."""
        judgement = self.pixels(pictures)
        for judge, x in zip(self.judges, self.mixing(list(maps)[-len(self.judges) :]), strict=True):
            # Without this normalisation, the features' gradients are a hundred times the pixels'.
            logits, features = judge(
                x / (x.detach().float().square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-4)
            )
            judgement.logits.append(logits)
            judgement.features.append(features)
        return Judgement(judgement.logits, judgement.features)
