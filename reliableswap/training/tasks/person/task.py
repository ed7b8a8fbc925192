"""Train one network for several people: a shared encoder, and a decoder for each, from clips and photos of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reliableswap.bundled import bundled
from reliableswap.convert.perceptual import pretrained_perceptual_features
from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.measures_torch import no_autocast, openings
from reliableswap.models.base import Network
from reliableswap.models.comb_autoencoder import CombAutoencoder
from reliableswap.models.comb_levels import sides
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.torch import frozen_copy
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.generator.losses import mesh_loss, perceptual_loss
from reliableswap.training.tasks.generator.views import MeshReader
from reliableswap.training.tasks.triplet_folders import launched_processes

from .build import build_network
from .estimate import estimate
from .frames import Frames, frames_of
from .levels import LevelManager
from .losses import l1_loss, ssim_loss
from .samples import PersonSamples
from .settings import PersonSettings
from .validation import Validation
from .warp import draw_jitter, draw_warp, resample, sampling_grid, to_pictures

__all__ = ["PersonSettings", "PersonTask", "run"]

logger = logging.getLogger(__name__)


class PersonTask(Task):
    """Every step trains the encoder with one person's decoder; people take turns."""

    measured_on = "held-out frames"

    def __init__(self, settings: PersonSettings, people: Sequence[Frames], first: int) -> None:
        super().__init__()
        self.settings, self.people = settings, list(people)
        self.dataset = PersonSamples(settings, people)
        self.levels = LevelManager(settings, sides(settings.size, settings.blocks), first)
        self.companions["levels"] = self.levels
        self.validation = Validation(people, settings.validation_frames)
        self.frozen = _frozen(settings)
        self.arrays = self.dataset.device_arrays()
        self.device: torch.device | None = None
        self.step, self.side, self.fade = 0, first, 1.0
        self.grown: tuple[int, float] | None = None  # side and fade that the network was last set to
        self._began = time.monotonic()

    def start(self, step: int, device: torch.device) -> None:
        self.step = step
        self.side, self.fade = self.levels.at(step)
        self.move_to(device)

    def move_to(self, device: torch.device) -> None:
        """Move the tensors and networks that batches and losses need to the device."""
        if device != self.device:
            self.device = device
            self.frozen.to(device)
            for one in self.arrays:
                one.to(device)

    @property
    def turn(self) -> int:
        """The index of the person whose decoder this step trains."""
        return self.step % len(self.people)

    @property
    def warped(self) -> bool:
        """Whether the encoder sees warped faces in this step."""
        settings = self.settings
        return settings.warp > 0 and self.step < settings.warp_until * settings.max_train_steps

    @property
    def detailed(self) -> bool:
        """Whether the mesh and perceptual losses, the slowest ones, take part in this step."""
        return self.step // len(self.people) % self.settings.detail_every == 0

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rows -> picture (B,S,S,3) and mask (B,S,S) uint8, weight (B,), jitter (B,2,3), warp (B,2,5,5)."""
        rows, settings = batch["row"], self.settings
        drawn = {
            "jitter": draw_jitter(len(rows), settings.jitter, rows.device),
            "warp": draw_warp(len(rows), settings.warp, rows.device),
        }
        return {**batch, **self.arrays[self.turn].rows(rows), **drawn}

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        inside: CombAutoencoder = network  # type: ignore[assignment]  # one process wraps nothing
        if self.grown != (self.side, self.fade):
            self.grown = self.side, self.fade
            inside.grow(self.side, self.fade, [one.person for one in self.people])
        if not self.settings.train_encoder:
            inside.encoder.eval()  # else batch norms would update their statistics
        found = self.losses_at(network, batch, self.side, self.detailed)
        self.levels.add(torch.stack(list(found.values())).sum())
        return found

    def losses_at(
        self, network: nn.Module, batch: dict[str, Tensor], side: int, detailed: bool = True
    ) -> dict[str, Tensor]:
        """Return the weighted losses by name at the level of that side."""
        settings, weight = self.settings, batch["weight"]
        with no_autocast(weight):
            pictures, mask = to_pictures(batch["picture"]), batch["mask"][:, None].float() / 255
            straight = sampling_grid(batch["jitter"], side)
            truth, mask = resample(pictures, straight), resample(mask, straight)
            seen = truth
            if self.warped:
                seen = resample(pictures, sampling_grid(batch["jitter"], side, batch["warp"]))
        made = network(seen, self.people[self.turn].person).float()
        found: dict[str, Tensor] = {}
        with no_autocast(made):
            if settings.ssim_weight:
                found["ssim"] = settings.ssim_weight * (ssim_loss(made, truth, mask) * weight).mean()
            if settings.l1_weight:
                found["l1"] = settings.l1_weight * (l1_loss(made, truth, mask) * weight).mean()
        if side < settings.detail_size or not detailed:
            return found
        times = settings.detail_every
        # Outside the mask the truth is put in, so that only the face is judged.
        judged = truth + mask * (made - truth)
        if "mesh" in self.frozen:
            with torch.no_grad():
                wanted = openings(self.frozen["mesh"](truth))
            each = mesh_loss(openings(self.frozen["mesh"](judged)), wanted)
            found["mesh"] = times * settings.mesh_weight * (each * weight).mean()
        if "features" in self.frozen:
            with torch.no_grad():
                theirs = self.frozen["features"](truth)
            each = perceptual_loss(self.frozen["features"](judged), theirs)
            found["perceptual"] = times * settings.perceptual_weight * (each * weight).mean()
        return found

    def validate(self, network: Network) -> dict[str, float]:
        assert isinstance(network, CombAutoencoder)
        network.grow(self.side, self.fade, [one.person for one in self.people])
        figures = self.validation.figures(network, self.side)
        if "mesh" in self.frozen and self.side >= self.settings.detail_size:
            figures |= self.validation.expression(network, self.side, self.openings)
        return {"side": self.side, "minutes": (time.monotonic() - self._began) / 60, **figures}

    def openings(self, pictures: Tensor) -> Tensor:
        """(B,3,S,S) -> (B,K) how far eyes and mouth are open, by the network of the mesh loss."""
        bf16, kind = self.settings.mixed_precision == "bf16", pictures.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=bf16):
            return openings(self.frozen["mesh"](pictures))

    def grid(self, network: Network) -> np.ndarray | None:
        assert isinstance(network, CombAutoencoder)
        return self.validation.grid(network, self.side)

    def facts(self) -> dict[str, str]:
        return {one.person: one.described for one in self.people}

    def fingerprint(self) -> dict[str, str]:
        return {f"frames of {one.person}": one.key for one in self.people}


def _frozen(settings: PersonSettings) -> nn.ModuleDict:
    """Load the frozen networks of the losses that have a weight, if their level is ever reached."""
    found = nn.ModuleDict()
    if settings.size < settings.detail_size:
        return found
    dtype = torch.bfloat16 if settings.mixed_precision == "bf16" else torch.float32
    if settings.mesh_weight:
        if settings.template != "arcface_128":
            raise ReliableSwapError(
                f"the mesh loss needs --template arcface_128, not {settings.template}; give --mesh_weight 0"
            )
        landmarks = MeshNet.from_pretrained(bundled("landmarks")).float()
        found["mesh"] = frozen_copy(MeshReader(landmarks), dtype)
    if settings.perceptual_weight:
        found["features"] = frozen_copy(pretrained_perceptual_features(), dtype)
    return found


def run(settings: PersonSettings) -> dict[str, Any]:
    """Find the frames, log the estimated time, train and save; return the figures on held-out frames."""
    if launched_processes() > 1:
        raise ReliableSwapError(
            "people are trained in a single process; start it without torchrun or accelerate launch"
        )
    people = frames_of(settings)
    torch.manual_seed(settings.seed)
    network, first = build_network(settings, people)
    task = PersonTask(settings, people, first)
    for line in estimate(network, task, settings):
        logger.info("%s", line)
    return {} if settings.estimate_only else train(network, task, settings)
