"""Training a generator on triplets: any of the three bases, supervised by truth where there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reliableswap.bundled import bundled
from reliableswap.data.triplet_dataset import KINDS
from reliableswap.errors import ReliableSwapError
from reliableswap.models import (
    FaceShifterGenerator,
    FixerNet,
    Generator,
    IdentityEncoder,
    LightGenerator,
    MeshNet,
    PatchDiscriminator,
    PerceptualFeatures,
    ProjectedDiscriminator,
    SimSwapGenerator,
)
from reliableswap.models.base import Network
from reliableswap.models.generator import GeneratorOutput
from reliableswap.runtime.torch import frozen_copy
from reliableswap.training.core.trainer import Task, train

from . import losses as loss
from .held_out import HeldOut
from .probe import Likeness, MeshProbe, eye_patches, fixer_window, identity_window, jittered, openings
from .samples import GeneratorSamples
from .settings import GeneratorSettings
from .spoiling import Spoiling

_REAL_TRUTH = [KINDS.index(kind) for kind in ("cycle", "real_source", "reconstruction")]


def build(
    settings: GeneratorSettings, identity: IdentityEncoder, fixer: FixerNet | None, sizes: Sequence[int]
) -> Generator:
    """A fresh generator that knows its encoder, or the one of --initial, which has to fit it. sizes: of the triplets'
    crops; the first is that of a base that has only one."""
    common: dict[str, Any] = {
        "identity_dim": identity.embedding_size,
        "fixer_dim": fixer.embedding_size if fixer is not None else 0,
        "identity_encoder": identity.label,
        "identity_checksum": identity.checksum(),
        "fixer_checksum": fixer.checksum() if fixer is not None else "",
    }
    classes: Mapping[str, type[Generator]] = {
        "light": LightGenerator, "simswap": SimSwapGenerator, "faceshifter": FaceShifterGenerator
    }  # fmt: skip
    if settings.base not in classes:
        raise ReliableSwapError(f"unknown --base {settings.base!r}; choose one of {', '.join(classes)}")
    kind = classes[settings.base]
    if settings.initial is not None:
        generator = kind.from_pretrained(settings.initial)
        other = [name for name, value in common.items() if generator.config[name] != value]
        if other:
            raise ReliableSwapError(
                f"{settings.initial} was trained with another {', '.join(other)} than this run's encoders give; "
                "pass its own --identity and --fixer"
            )
        if isinstance(generator, LightGenerator):
            generator.register_to_config(sizes=sorted({*sizes, *generator.config["sizes"]}))
        return generator
    width = {} if settings.channels is None else {"channels": settings.channels}
    if settings.base == "light":
        if width:
            raise ReliableSwapError(
                "--channels is for simswap and faceshifter; the light generator has one size"
            )
        return LightGenerator(
            guidance_channels=4 if settings.guidance else 0,
            target_colours=settings.target_colours,
            sizes=sorted(set(sizes)),
            **common,
        )
    if settings.base == "faceshifter":
        return FaceShifterGenerator(size=sizes[0], **width, **common)
    return SimSwapGenerator(**width, **common)


class GeneratorTask(Task):
    """The losses of a generator; every sample gets those that its kind has a truth for."""

    def __init__(
        self,
        settings: GeneratorSettings,
        identity: IdentityEncoder,
        fixer: FixerNet | None = None,
        landmarks: MeshNet | None = None,
        features: PerceptualFeatures | None = None,
        more_identities: Sequence[IdentityEncoder] = (),
    ) -> None:
        super().__init__()
        self.settings = settings
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        lanes = ranks * max(1, settings.dataloader_num_workers)
        share = settings.spoiled_guidance
        spoiling = Spoiling(**{one.name: share * one.default for one in fields(Spoiling)})  # type: ignore[operator]
        self.samples = self.dataset = GeneratorSamples(
            settings.folders,
            settings.mix,
            settings.train_batch_size,
            lanes,
            settings.seed,
            spoiling,
            settings.shares,
            ranks,
            settings.painted_glasses,
        )
        self.sizes = [one.size for one in self.samples.triplets]
        for network in (identity, fixer, features, *more_identities):
            if network is not None:
                network.requires_grad_(False).eval()
        probe = MeshProbe(landmarks) if landmarks is not None else None
        self.held_out = HeldOut(settings.folders[0], settings.validation_pairs, identity, fixer, probe)
        kind = torch.bfloat16 if settings.mixed_precision == "bf16" else torch.float32
        self.identity = frozen_copy(identity, kind)
        # A face drawn for one encoder's eyes pleases that one alone; these are asked as well, and only by the loss.
        self.further = list(more_identities)
        self.more_identities = nn.ModuleList(frozen_copy(one, kind) for one in more_identities)
        self.fixer = frozen_copy(fixer, kind) if fixer is not None else None
        self.features = frozen_copy(features, kind) if features is not None else None
        self.probe = frozen_copy(probe, kind) if probe is not None else None
        self.likeness = Likeness()
        if settings.adversarial_weight or settings.feature_matching_weight:
            self.discriminator = self._discriminator(features)
        self.step = 0
        self.made: Tensor | None = None

    def _discriminator(self, features: PerceptualFeatures | None) -> Network:
        kind, channels = self.settings.discriminator, self.settings.discriminator_channels
        if kind == "patch":
            return PatchDiscriminator(channels=channels)
        if kind != "projected":
            raise ReliableSwapError(f"unknown --discriminator {kind!r}; choose patch or projected")
        if features is None or self.features is None:
            raise ReliableSwapError("the projected discriminator judges features, and none were given")
        discriminator = ProjectedDiscriminator.over(features, channels=channels)
        discriminator.look_through(self.features)
        return discriminator

    @property
    def judged(self) -> bool:
        """Whether the discriminator takes part in this step."""
        return self.discriminator is not None and self.step >= self.settings.discr_start_step

    def start(self, step: int, device: torch.device) -> None:
        self.step = step
        frozen = (
            self.identity,
            self.more_identities,
            self.fixer,
            self.features,
            self.probe,
            self.likeness,
        )
        for module in (*frozen, *self.held_out.networks):
            if module is not None:
                module.to(device)

    @torch.no_grad()
    def vectors(self, pictures: Tensor) -> Tensor:
        """(B,3,S,S) -> (B,D) v_full = [v_id ; v_fix] of frozen encoders."""
        return self.embed(pictures).detach()

    def embed(self, pictures: Tensor) -> Tensor:
        vectors = [self.identity(identity_window(pictures)).float()]
        if self.fixer is not None:
            vectors.append(self.fixer(fixer_window(pictures)).float())
        return torch.cat(vectors, 1)

    def _further_losses(self, seen: Tensor, wanted: Tensor) -> list[Tensor]:
        """The identity loss (B) of each further encoder, for the made faces and the photos they should be as."""
        result = []
        for encoder in self.more_identities:
            with torch.no_grad():
                person = encoder(identity_window(wanted)).float()
            result.append(loss.identity_loss(encoder(identity_window(seen)).float(), person))
        return result

    def _shown(self, made: Tensor, glasses: Tensor) -> Tensor:
        """(B,3,S,S) the made faces as identity losses see them: with glasses (B,4,S,S) on, and moved a little.

        The target's stay on in use: what they hide of a person, the rest of the face has to make up for. And with the
        source's on, nothing is won by drawing them.
        """
        worn, over = glasses.split([3, 1], 1)
        shown = made + (worn - made) * (self.settings.glasses * over)
        return jittered(shown, self.settings.identity_jitter) if self.settings.identity_jitter else shown

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        s = self.settings
        target, source, truth = batch["target"], batch["source"], batch["truth"]
        plain = batch["plain"]  # to be like in all but identity: what is painted on it is not to be learnt
        known = batch["has_truth"]
        unknown = 1 - known
        real_truth = torch.isin(batch["kind"], torch.tensor(_REAL_TRUTH, device=target.device))
        # A surrogate keeps a little of the other person; who the face is meant to be is told best by the real photo.
        v_source = self.vectors(source)
        by_identity = bool(s.identity_weight or (s.lower_face_weight and self.fixer is not None))
        v_wanted = v_source
        if by_identity:
            v_wanted = torch.where(real_truth[:, None], self.vectors(truth), v_source)
        output: GeneratorOutput = self._call(network, target, v_source, batch["guidance"])
        made = output.image.float()
        self.made = made.detach()
        face = batch["face_mask"]
        weight = s.background_weight + (s.face_weight - s.background_weight) * face
        # Beside the face the target itself is the truth where there is no other.
        beside = s.background_weight * (1 - face)
        has = known[:, None, None, None]
        answer, counted = torch.where(has > 0, truth, target), torch.where(has > 0, weight, beside)
        photo = torch.where(has > 0, truth, plain)
        everyone = torch.ones_like(known)
        seen = self._shown(made, batch["glasses"]) if by_identity else made
        found = self.embed(seen) if by_identity else v_source
        dim = self.identity.embedding_size
        result = {"l1": s.l1_weight * loss.l1_loss(made, answer, counted).mean()}

        def add(name: str, weight: float, values: Tensor, chosen: Tensor = everyone) -> None:
            result[name] = weight * loss.mean_over(values, chosen)

        if s.identity_weight:
            far = loss.identity_loss(found[:, :dim], v_wanted[:, :dim])
            if self.more_identities:
                wanted = torch.where(real_truth[:, None, None, None], truth, source)
                far = torch.stack([far, *self._further_losses(seen, wanted)]).mean(0)
            add("identity", s.identity_weight, far)
        if s.lower_face_weight and self.fixer is not None:
            add("lower_face", s.lower_face_weight, loss.lower_face_loss(found[:, dim:], v_wanted[:, dim:]))
        if s.gradient_weight:
            add("gradient", s.gradient_weight, loss.gradient_loss(made, answer, counted))
        if s.perceptual_weight and self.features is not None:
            rows = known.nonzero()[:, 0] if known.any() else torch.arange(1, device=made.device)
            with torch.no_grad():
                wanted = self.features(truth[rows])
            near = loss.perceptual_loss(self.features(made[rows]), wanted)
            add("perceptual", s.perceptual_weight, near, known[rows])
        if s.colour_weight:
            add("colour", s.colour_weight, loss.colour_loss(made, plain, face), unknown)
        if s.chroma_weight:
            add("chroma", s.chroma_weight, loss.chroma_loss(made, plain, face), unknown)
        if s.mask_weight and output.mask_logits is not None:
            add("mask", s.mask_weight, loss.mask_loss(output.mask_logits, face))
        if self.probe is not None and (s.mesh_weight or s.expression_weight or s.pose_weight):
            with torch.no_grad():
                goal = self.probe(photo)
            mesh = self.probe(made)
            if s.mesh_weight:
                add("mesh", s.mesh_weight, loss.mesh_loss(openings(mesh), openings(goal)))
            if s.expression_weight:
                difference = self.likeness.expression(mesh, goal)
                add("expression", s.expression_weight, loss.expression_loss(difference))
            if s.pose_weight:
                add("pose", s.pose_weight, loss.pose_loss(self.likeness.turn(mesh, goal)))
        if s.gaze_weight:
            eyes = loss.gaze_loss(eye_patches(made, batch["mesh"]), eye_patches(plain, batch["mesh"]))
            add("gaze", s.gaze_weight, eyes, unknown)
        if s.attribute_weight:
            attributes = self._attributes(network)
            ours, theirs = attributes(made), attributes(plain)
            add("attribute", s.attribute_weight, loss.attribute_loss(ours, theirs))
        if s.cycle_weight:
            back = self._call(network, made, self.vectors(plain), None).image.float()
            add("cycle", s.cycle_weight, loss.cycle_loss(back, plain, weight), unknown)
        if self.judged:
            assert self.discriminator is not None
            judgement = self.discriminator(made)
            if s.adversarial_weight:
                add("adversarial", s.adversarial_weight, loss.adversarial_loss(judgement.logits))
            if s.feature_matching_weight:
                with torch.no_grad():
                    wanted_maps = self.discriminator(photo).features
                matching = loss.feature_matching_loss(judgement.features, wanted_maps, last=2)
                add("feature_matching", s.feature_matching_weight, matching)
        return result

    def discriminator_losses(self, discriminator: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Real photos against what the network made of the same batch."""
        if not self.judged:
            return {}
        assert self.made is not None
        real_truth = torch.isin(batch["kind"], torch.tensor(_REAL_TRUTH, device=self.made.device))
        # The truth where it is a photo; the target as it was taken where that is one, which is so for all other kinds.
        real = torch.where(real_truth[:, None, None, None], batch["truth"], batch["plain"])
        penalised = self.settings.penalty_weight > 0
        real = real.detach().requires_grad_(penalised)
        count = len(real)
        judgement = discriminator(torch.cat([real, self.made]))
        ours = [scale[:count] for scale in judgement.logits]
        theirs = [scale[count:] for scale in judgement.logits]
        result = {"discriminator": loss.hinge_loss(ours, theirs).mean()}
        if penalised:
            result["penalty"] = self.settings.penalty_weight * loss.gradient_penalty(ours, real).mean()
        return result

    def validate(self, network: Network) -> dict[str, float]:
        assert isinstance(network, Generator)
        return self.held_out.figures(network)

    def grid(self, network: Network) -> np.ndarray:
        assert isinstance(network, Generator)
        return self.held_out.grid(network)

    def warnings(self, figures: dict[str, float]) -> list[str]:
        return self.held_out.warnings(figures)

    def facts(self) -> dict[str, str]:
        shares = asdict(self.settings.mix)
        strangers = f"{shares.pop('strangers'):.0%} of vanilla sources of another pair"
        mix = ", ".join([*(f"{kind} {share:.0%}" for kind, share in shares.items() if share), strangers])
        rows = sum(sum(one.counts) for one in self.samples.triplets)
        encoder = self.held_out.identity
        also = ", ".join(f"{one.label}, checksum {one.checksum()}" for one in self.further)
        also = f"; the identity loss also asks {also}" if also else ""
        return {
            "triplets": f"{rows:,} rows of {', '.join(folder.name for folder in self.settings.folders)}",
            "samples": mix,
            "identity encoder": f"{encoder.label}, checksum {encoder.checksum()}{also}",
            "held out": "people of the split validation; the encoder of these figures is the one of the loss",
        }

    @staticmethod
    def _call(network: nn.Module, target: Tensor, vector: Tensor, guidance: Tensor | None) -> GeneratorOutput:
        inner = getattr(network, "module", network)
        wants = guidance if inner.guidance_channels else None
        output: GeneratorOutput = network(target, vector, wants)
        return output

    @staticmethod
    def _attributes(network: nn.Module) -> Any:
        inner = getattr(network, "module", network)
        if not isinstance(inner, FaceShifterGenerator):
            raise ReliableSwapError("--attribute_weight needs --base faceshifter: only it has attribute maps")
        return inner.attributes


def run(settings: GeneratorSettings) -> dict[str, Any]:
    """Load the frozen networks, train, save; returns the figures on held-out people."""
    identity = IdentityEncoder.from_pretrained(settings.identity or bundled("identity")).float()
    fixer = FixerNet.from_pretrained(settings.fixer).float() if settings.fixer else None
    if fixer is None and settings.lower_face_weight:
        settings = replace(settings, lower_face_weight=0.0)
    landmarks = MeshNet.from_pretrained(bundled("landmarks")).float()
    features = None
    if settings.perceptual_weight or settings.discriminator == "projected":
        from reliableswap.convert.checkpoints import pretrained_perceptual_features

        features = pretrained_perceptual_features()
    torch.manual_seed(settings.seed)
    if settings.further_encoders and not settings.identity_weight:
        raise ReliableSwapError("--more_identities are for the identity loss; give it an --identity_weight")
    further = [IdentityEncoder.from_pretrained(folder).float() for folder in settings.further_encoders]
    task = GeneratorTask(settings, identity, fixer, landmarks, features, further)
    return train(build(settings, identity, fixer, task.sizes), task, settings)
