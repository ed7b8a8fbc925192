"""A small network of every class, with valid inputs and an invalid one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reliableswap.models import (
    CombAutoencoder,
    CombDecoder,
    FaceDetector,
    FaceShifterGenerator,
    FixerNet,
    GeneralAutoencoder,
    GlassesNet,
    HearNet,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    PatchDiscriminator,
    PerceptualFeatures,
    ProjectedDiscriminator,
    SimSwapGenerator,
    VisibilityNet,
)
from reliableswap.models.generator import GeneratorOutput


@dataclass(frozen=True)
class Case:
    """A network and the shapes of its inputs, without the batch dimension.

    wrong: a shape of the first input that raises an error, which matches `expected`.
    """

    build: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    wrong: tuple[int, ...]
    expected: str
    float32_output: bool = False  # whatever the weights' dtype

    def inputs(self, batch: int) -> list[Tensor]:
        return [torch.rand(batch, *shape) * 2 - 1 for shape in self.shapes]


CASES = {
    "detector": Case(
        lambda: FaceDetector(blocks=(1, 1, 1)), ((3, 64, 96),), (1, 3, 100, 64), "divisible by 32", True
    ),
    "mesh": Case(MeshNet, ((3, 128, 128),), (1, 3, 112, 112), r"\(any, 3, 128, 128\)", True),
    "glasses": Case(
        lambda: GlassesNet(channels=(4, 8, 16)), ((3, 64, 128),), (1, 3, 128, 64), r"\(any, 3, 64, 128\)"
    ),
    "visibility": Case(
        lambda: VisibilityNet(widths=(4, 4, 8, 8), deep=8),
        ((3, 128, 128),),
        (1, 3, 112, 112),
        r"\(any, 3, 128, 128\)",
    ),
    "mobilefacenet": Case(IdentityEncoder, ((3, 112, 112),), (1, 3, 128, 128), r"\(any, 3, 112, 112\)"),
    "iresnet18": Case(
        lambda: IdentityEncoder(body="iresnet18", embedding_size=16),
        ((3, 112, 112),),
        (1, 112, 112, 3),
        "112",
    ),
    "fixer": Case(
        lambda: FixerNet(embedding_size=32), ((3, 56, 56),), (1, 3, 112, 112), r"\(any, 3, 56, 56\)"
    ),
    "simswap": Case(
        lambda: SimSwapGenerator(channels=4, block_count=2, identity_dim=16),
        ((3, 64, 64), (16,)),
        (1, 3, 60, 60),
        "divisible by 8",
    ),
    "simswap_deep": Case(
        lambda: SimSwapGenerator(channels=4, levels=4, block_count=1, identity_dim=16, fixer_dim=8),
        ((3, 64, 64), (24,)),
        (1, 3, 72, 72),
        "divisible by 16",
    ),
    "faceshifter": Case(
        lambda: FaceShifterGenerator(channels=32, identity_dim=16),
        ((3, 256, 256), (16,)),
        (1, 3, 128, 128),
        r"\(any, 3, 256, 256\)",
    ),
    "faceshifter_512": Case(
        lambda: FaceShifterGenerator(size=512, channels=64, identity_dim=16, fixer_dim=8),
        ((3, 512, 512), (24,)),
        (1, 3, 256, 256),
        r"\(any, 3, 512, 512\)",
    ),
    "hear": Case(lambda: HearNet(channels=4), ((3, 64, 64), (3, 64, 64)), (1, 3, 48, 48), "divisible by 32"),
    "light": Case(
        lambda: LightGenerator(channels=(8, 12, 16, 24), block_count=2, identity_dim=16, fixer_dim=8),
        ((3, 64, 64), (24,), (4, 64, 64)),
        (1, 3, 60, 60),
        "divisible by 8",
    ),
    "light_without_guidance": Case(
        lambda: LightGenerator(channels=(8, 12, 16, 24), block_count=1, guidance_channels=0, identity_dim=16),
        ((3, 40, 64), (16,)),
        (1, 4, 64, 64),
        r"\(any, 3, any, any\)",
    ),
    "patches": Case(
        lambda: PatchDiscriminator(channels=8), ((3, 64, 64),), (1, 3, 72, 72), "divisible by 16"
    ),
    "projected": Case(
        lambda: ProjectedDiscriminator(channels=8), ((3, 64, 64),), (1, 3, 72, 72), "divisible by 32"
    ),
    "comb": Case(
        lambda: CombAutoencoder(size=16, latent=12, base_channels=1, max_channels=8, norm="batch"),
        ((3, 16, 16),),
        (1, 3, 24, 24),
        "one of 4, 8, 16",
    ),
    "comb_decoder": Case(
        lambda: CombDecoder(size=16, latent=12, base_channels=1, max_channels=8),
        ((12,),),
        (1, 13),
        r"\(any, 12\)",
    ),
    "comb_general": Case(
        lambda: GeneralAutoencoder(size=16, latent=12, max_channels=8, identity=5),
        ((3, 16, 16), (5,)),
        (1, 3, 24, 24),
        "one of 8, 16",
    ),
    "perceptual": Case(PerceptualFeatures, ((3, 64, 64),), (1, 3, 72, 72), "divisible by 32"),
}
GENERATORS = ["simswap", "simswap_deep", "faceshifter", "faceshifter_512", "light", "light_without_guidance"]
# One case per class: variants run the same code, which compiles alike.
CLASSES = sorted(CASES.keys() - {"simswap_deep", "faceshifter_512", "light_without_guidance"})
# One case per body: FixerNet has the identity encoder's, and ProjectedDiscriminator contains PerceptualFeatures.
BODIES = [name for name in CLASSES if name not in ("fixer", "perceptual")]


def tensors(output: Any) -> list[Tensor]:
    """All tensors in an output, in order."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, GeneratorOutput):
        return list(output.to_tuple())
    return [tensor for part in output for tensor in tensors(part)]


@torch.no_grad()
def outputs(network: Any, inputs: list[Tensor]) -> list[Tensor]:
    return tensors(network(*inputs))
