"""Train a generator on triplets."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reliableswap.data.augment import Augmentation
from reliableswap.data.samples import collate
from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.occluders import cutout_files
from reliableswap.models import Generator
from reliableswap.models.base import Network
from reliableswap.training.core.fingerprint import digest_of_files, digest_of_names
from reliableswap.training.core.task import Task
from reliableswap.training.core.trainer import train
from reliableswap.training.tasks.triplet_folders import (
    held_out_percent,
    launched_processes,
    shards_of,
    with_validation,
)

from .build import LoadedNetworks, build_discriminator, build_generator
from .corruption import CorruptionRates
from .frozen import FrozenNetworks
from .objective import Step, discriminator_losses, generator_losses
from .samples import GeneratorSamples, completed
from .settings import GeneratorSettings
from .validation import Validation
from .views import MeshReader

logger = logging.getLogger(__name__)


class GeneratorTask(Task):
    """Samples, losses and validation of a generator of any base."""

    def __init__(self, settings: GeneratorSettings, networks: LoadedNetworks) -> None:
        super().__init__()
        self.settings, self.networks = settings, networks
        self.samples = self.dataset = GeneratorSamples(
            settings.folders,
            settings.mix,
            settings.train_batch_size,
            settings.seed,
            workers=max(1, settings.dataloader_num_workers),
            ranks=launched_processes(),
            shares=settings.shares,
            corruption=CorruptionRates().scaled(settings.guidance_corruption),
            painted=settings.painted_glasses,
            alternate=settings.alternate,
            guidance=settings.base == "light",
            glasses=settings.glasses > 0,
            covers=settings.target_covers,
            augmentation=Augmentation(
                light=settings.light, occluded=settings.occluded, occluders=settings.occluders
            ),
        )
        for folder, one in zip(settings.folders, self.samples.triplets.datasets, strict=True):
            if one.guidance and not one.knows_covers:
                logger.warning(
                    "warning: %s stores no face covers, so they are computed for every sample, which dominates its "
                    "time; make the triplets again to store them",
                    folder,
                )
        self.sizes = [one.size for one in self.samples.triplets.datasets]
        self.held_out = held_out_percent(settings.folders)
        for network in (networks.identity, networks.fixer, networks.features, *networks.more_identities):
            if network is not None:
                network.requires_grad_(False).eval()
        mesh_reader = MeshReader(networks.landmarks) if networks.landmarks is not None else None
        self.validation: Validation | None = None
        if settings.validation_pairs:
            folder = with_validation(settings.folders, "--validation_pairs")[0]
            self.validation = Validation(
                folder,
                settings.validation_pairs,
                networks.identity,
                networks.fixer,
                mesh_reader,
                guidance=settings.base == "light",
            )
        self.frozen = FrozenNetworks(
            networks.identity,
            networks.fixer,
            networks.features,
            mesh_reader,
            networks.more_identities,
            torch.bfloat16 if settings.mixed_precision == "bf16" else torch.float32,
        )
        if settings.adversarial_weight or settings.feature_matching_weight:
            self.discriminator = build_discriminator(settings, networks.features, self.frozen.features)
        self.step = 0
        self.device: torch.device | None = None  # where the frozen networks are
        self.image: Tensor | None = None  # the generator's last output, for the discriminator's losses

    collate = staticmethod(collate)

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return completed(batch)

    def start(self, step: int, device: torch.device) -> None:
        self.step = step
        if device == self.device:
            return
        self.device = device  # skip `to` when it is needless: walking all frozen modules takes milliseconds
        self.frozen.to(device)
        if self.validation is not None:
            self.validation.to(device)

    def frozen_networks(self) -> list[nn.Module]:
        return self.frozen.networks()

    @property
    def adversarial(self) -> bool:
        """Return whether the discriminator takes part in this step."""
        return self.discriminator is not None and self.step >= self.settings.discr_start_step

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        judge = self.discriminator if self.adversarial else None
        step = Step(self.settings, self.frozen, network, judge, batch)
        self.image = step.image.detach()
        return generator_losses(step)

    def discriminator_losses(self, discriminator: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if not self.adversarial:
            return {}
        assert self.image is not None
        return discriminator_losses(discriminator, batch, self.image, self.settings.penalty_weight)

    def validate(self, network: Network) -> dict[str, float]:
        assert isinstance(network, Generator)
        return self.validation.figures(network) if self.validation is not None else {}

    def grid(self, network: Network) -> np.ndarray | None:
        assert isinstance(network, Generator)
        return self.validation.grid(network) if self.validation is not None else None

    def warnings(self, figures: dict[str, float]) -> list[str]:
        return self.validation.warnings(figures) if self.validation is not None else []

    def facts(self) -> dict[str, str]:
        shares = asdict(self.settings.mix)
        strangers = f"{shares.pop('strangers'):.0%} of vanilla sources from another pair"
        mix = ", ".join([*(f"{kind} {share:.0%}" for kind, share in shares.items() if share), strangers])
        rows = sum(sum(one.counts) for one in self.samples.triplets.datasets)
        encoder = self.networks.identity
        also = ", ".join(f"{one.label}, checksum {one.checksum()}" for one in self.networks.more_identities)
        also = f"; the identity loss also uses {also}" if also else ""
        figures = "; the figures use the encoder of the loss" if self.validation is not None else ""
        return {
            "triplets": f"{rows:,} rows of {', '.join(folder.name for folder in self.settings.folders)}",
            "samples": mix,
            "identity encoder": f"{encoder.label}, checksum {encoder.checksum()}{also}",
            "held out": f"{self.held_out:g} % of the people, outside the training split{figures}",
        }

    def fingerprint(self) -> dict[str, str]:
        shards = [shards_of(folder, "train") for folder in self.settings.folders]
        triplets = {f"triplets {number}": digest_of_files(paths) for number, paths in enumerate(shards)}
        cutouts = self.settings.occluders if self.settings.occluded else None
        pasted = {"occluders": digest_of_names(cutouts, cutout_files(cutouts))} if cutouts is not None else {}
        return triplets | pasted | self.networks.checksums


def run(settings: GeneratorSettings) -> dict[str, Any]:
    """Load the frozen networks, train and save; return the figures on held-out people."""
    if settings.further_encoders and not settings.identity_weight:
        raise ReliableSwapError("--more_identities needs an --identity_weight above 0")
    if settings.target_covers and not settings.glasses:
        raise ReliableSwapError("--target_covers needs --glasses above 0, which is their opacity too")
    if settings.fixer is None and settings.lower_face_weight:
        settings = replace(settings, lower_face_weight=0.0)
    networks = LoadedNetworks.load(settings)
    torch.manual_seed(settings.seed)
    task = GeneratorTask(settings, networks)
    generator = build_generator(settings, networks.identity, networks.fixer, task.sizes, task.held_out)
    return train(generator, task, settings)
