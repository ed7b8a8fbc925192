"""Train the face tokeniser by pixels, features and, later, a discriminator; moving averages update the codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.data.describe.rows import read_rows
from reliableswap.models.base import Network
from reliableswap.models.discriminator import PatchDiscriminator
from reliableswap.models.unified.texture import TextureDiscriminator
from reliableswap.models.unified.tokeniser import FaceTokeniser
from reliableswap.runtime.torch import frozen_copy
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.generator.losses import adversarial_loss, hinge_loss, perceptual_loss
from reliableswap.training.tasks.pixels import to_network

from .jitter import jittered
from .samples import FaceOrder
from .settings import TokeniserSettings

__all__ = ["TokeniserSettings", "TokeniserTask", "codebook_use", "run"]

_GRID = 16  # faces in the grid
_SHIFT = 8  # largest shift, in pixels, of pictures before feature and discriminator losses


class TokeniserTask(Task):
    """Losses of pictures decoded from their tokens; validation measures them on held-out people."""

    def __init__(self, settings: TokeniserSettings) -> None:
        super().__init__()
        self.settings = settings
        self.faces, self.held_out = read_rows(settings.data, "train"), read_rows(settings.data, "validation")
        self.dataset = FaceOrder(len(self.faces), settings.seed)
        # Decode all once, at 48 KiB a face: decoding in every step would take longer than a GPU's training step.
        self.crops = torch.from_numpy(np.stack([self.faces.crop(i) for i in range(len(self.faces))]))
        dtype = torch.bfloat16 if settings.mixed_precision == "bf16" else torch.float32
        self.features: nn.Module | None = None
        if settings.perceptual_weight:
            self.features = frozen_copy(pretrained_perceptual_features(), dtype)
        if settings.adversarial_weight:
            if settings.discriminator == "patch":
                self.discriminator = PatchDiscriminator(settings.discr_channels, halvings=3, scales=2)
            else:
                self.discriminator = TextureDiscriminator(settings.discr_channels)
        self.step = 0
        self.pictures = self.made = torch.empty(0)
        self.maps: tuple[list[Tensor], list[Tensor]] = [], []  # the features of both

    def start(self, step: int, device: torch.device) -> None:
        self.step = step
        if self.crops.device != device:
            self.crops = self.crops.to(device)
        if self.features is not None:
            self.features.to(device)

    def prepare(self, batch: Tensor) -> Tensor:
        """Face indices (B,) -> (B,3,128,128) their pictures, mirrored and jittered at random."""
        pictures = to_network(self.crops[batch])
        mirror = torch.rand(len(pictures), 1, 1, 1, device=pictures.device) < 0.5
        mirrored = torch.where(mirror, pictures.flip(3), pictures)
        return jittered(mirrored, self.settings.jitter, whole_pixels=self.settings.decoder_only)

    @property
    def adversarial(self) -> float:
        """The factor (0 to 1) on the discriminator's weight in this step; where it is 0, the discriminator rests."""
        late = self.step - self.settings.discr_start_step + 1
        if self.discriminator is None or late < 1:
            return 0.0
        return min(1.0, late / max(1, self.settings.discr_ramp_steps))

    def losses(self, network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        settings, pictures = self.settings, batch
        output = network(pictures)
        made = output.picture.float()
        found = {
            "l1": settings.l1_weight * (made - pictures).abs().mean(),
        }
        if not settings.decoder_only:
            found["commitment"] = settings.commitment_weight * output.commitment
        # Gradients of strided networks show the pattern of their strides; a random shift per step averages it out.
        place = torch.randint(2 * _SHIFT + 1, (2,)).tolist() if settings.decoder_only else [_SHIFT, _SHIFT]
        pictures, made = shifted(pictures, place), shifted(made, place)
        self.pictures, self.made = pictures, made.detach()
        maps: list[Tensor] = []
        if self.features is not None:
            with torch.no_grad():
                wanted = self.features(pictures)
            maps = self.features(made)
            found["perceptual"] = settings.perceptual_weight * perceptual_loss(maps, wanted).mean()
            self.maps = wanted, [one.detach() for one in maps]
        if self.adversarial:
            assert self.discriminator is not None
            logits = self._judged(self.discriminator, made, maps)
            weight = settings.adversarial_weight * self.adversarial
            found["adversarial"] = weight * adversarial_loss(logits).mean()
        return found

    def _judged(self, discriminator: nn.Module, pictures: Tensor, maps: list[Tensor]) -> list[Tensor]:
        """Return the discriminator's logits of pictures. maps: their features."""
        textured = self.settings.discriminator == "texture"
        judgement = discriminator(pictures, maps) if textured else discriminator(pictures)
        return list(judgement.logits)

    def discriminator_losses(self, discriminator: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        if not self.adversarial:
            return {}
        count = len(self.made)
        both = [torch.cat(pair) for pair in zip(*self.maps, strict=True)]
        logits = self._judged(discriminator, torch.cat([self.pictures, self.made]), both)
        real, made = [one[:count] for one in logits], [one[count:] for one in logits]
        return {"discriminator": hinge_loss(real, made).mean()}

    @cached_property
    def fixed(self) -> Tensor:
        """(N,128,128,3) the held-out faces, the same at every validation."""
        count = min(self.settings.validation_pictures, len(self.held_out))
        return torch.from_numpy(np.stack([self.held_out.crop(i) for i in range(count)]))

    def validate(self, network: Network) -> dict[str, float]:
        """Return l1 and perceptual distance of held-out faces, and how much of the codebook they use.

        detail: the contrast in the finest octave of the decoded pictures, divided by that of the photos.
        """
        assert isinstance(network, FaceTokeniser)
        l1, perceptual, detail, tokens = [], [], [], []
        bf16 = self.settings.mixed_precision == "bf16"  # as the weights of the feature network
        for part in self.fixed.split(32):
            pictures = to_network(part.to(network.device))
            with torch.autocast(network.device.type, torch.bfloat16, enabled=bf16):
                output = network(pictures)
                made = output.picture.float().clamp(-1, 1)
                if self.features is not None:
                    perceptual.append(perceptual_loss(self.features(made), self.features(pictures)).cpu())
            tokens.append(output.tokens.cpu())
            l1.append((made - pictures).abs().mean((1, 2, 3)).cpu())
            detail.append((fine_contrast(made) / fine_contrast(pictures)).cpu())
        figures = {"l1": float(torch.cat(l1).mean()), "detail": float(torch.cat(detail).mean())}
        figures |= codebook_use(torch.cat(tokens), network.code_count)
        if perceptual:
            figures["perceptual"] = float(torch.cat(perceptual).mean())
        return figures

    def grid(self, network: Network) -> np.ndarray | None:
        """Held-out faces, above the pictures decoded from their tokens."""
        assert isinstance(network, FaceTokeniser)
        pictures = self.fixed[:_GRID]
        made = network(to_network(pictures.to(network.device))).picture.clamp(-1, 1)
        seen = ((made + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
        rows = [
            torch.cat(list(part), 1)
            for pair in zip(pictures.split(8), seen.split(8), strict=True)
            for part in pair
        ]
        if len(pictures) % 8:
            rows = [torch.cat(list(part), 1) for part in (pictures, seen)]
        return torch.cat(rows).numpy()

    def warnings(self, figures: dict[str, float]) -> list[str]:
        if figures["codes_used"] < 0.5:
            return [
                f"held-out faces use {figures['codes_used']:.0%} of the codes; lower --learning_rate or --codes"
            ]
        return []

    def facts(self) -> dict[str, str]:
        return {
            "faces": f"{len(self.faces):,} described faces of adults, mirrored, shifted and coloured at random",
            "held out": f"{len(self.held_out):,} faces of other people",
        }

    def fingerprint(self) -> dict[str, str]:
        return {"faces": self.faces.key}


def shifted(pictures: Tensor, place: Sequence[int]) -> Tensor:
    """(B,C,H,W) -> windows of that size at `place` (0 to 2 * _SHIFT down and across) of the mirror-padded pictures."""
    down, across = place
    if down == across == _SHIFT:
        return pictures
    wide = F.pad(pictures, (_SHIFT,) * 4, mode="reflect")
    return wide[..., down : down + pictures.shape[-2], across : across + pictures.shape[-1]]


def fine_contrast(pictures: Tensor) -> Tensor:
    """(B,3,H,W) -> (B,) the standard deviation of brightness minus its mean over 3x3 pixels."""
    grey = pictures.float().mean(1, keepdim=True)
    return (grey - F.avg_pool2d(grey, 3, 1, 1))[..., 1:-1, 1:-1].flatten(1).std(1) + 1e-4


def codebook_use(tokens: Tensor, codes: int) -> dict[str, float]:
    """Return codes_used, the share of codes that occur, and perplexity: how many equally frequent codes would have the
    same entropy."""
    counts = torch.bincount(tokens.flatten(), minlength=codes).double()
    odds = counts / counts.sum()
    entropy = -(odds * odds.clamp(min=1e-12).log()).sum()
    return {"codes_used": float((counts > 0).double().mean()), "perplexity": float(entropy.exp())}


def run(settings: TokeniserSettings) -> dict[str, Any]:
    """Train and save; return the figures on held-out people."""
    shapes = settings.shapes
    torch.manual_seed(settings.seed)
    task = TokeniserTask(settings)
    torch.manual_seed(settings.seed)
    if settings.initial is not None:
        network = FaceTokeniser.from_pretrained(settings.initial).float()
        if settings.last_blocks > network.config["last_blocks"]:
            network = network.with_last_blocks(settings.last_blocks)
        if settings.decoder_only:
            network.keep_tokens()
    else:
        network = FaceTokeniser(
            **shapes,
            codes=settings.codes,
            code_width=settings.code_width,
            warm_up=settings.warm_up_steps,
            code_noise=settings.code_noise,
            last_blocks=settings.last_blocks,
        )
    return train(network, task, settings)
