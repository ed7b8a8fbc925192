"""The networks of a generator's training: a new or earlier generator, its discriminator, the frozen networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reliableswap.bundled import bundled
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

from .initial import Encoders, check_size, crop_sizes, load_initial, target_colours, with_adapter
from .settings import GeneratorSettings

_CLASSES: Mapping[str, type[Generator]] = {
    "light": LightGenerator,
    "simswap": SimSwapGenerator,
    "faceshifter": FaceShifterGenerator,
}


@dataclass
class LoadedNetworks:
    """The trained networks that the losses need, in float32."""

    identity: IdentityEncoder
    fixer: FixerNet | None = None
    landmarks: MeshNet | None = None
    features: PerceptualFeatures | None = None
    more_identities: list[IdentityEncoder] = field(default_factory=list)

    @classmethod
    def load(cls, settings: GeneratorSettings) -> LoadedNetworks:
        """Load the networks that the settings name, and bundled ones for the rest."""
        features = None
        if settings.perceptual_weight or settings.discriminator == "projected":
            from reliableswap.convert.perceptual import pretrained_perceptual_features

            features = pretrained_perceptual_features()
        return cls(
            IdentityEncoder.from_pretrained(settings.identity or bundled("identity")).float(),
            FixerNet.from_pretrained(settings.fixer).float() if settings.fixer else None,
            MeshNet.from_pretrained(bundled("landmarks")).float(),
            features,
            [IdentityEncoder.from_pretrained(folder).float() for folder in settings.further_encoders],
        )

    @property
    def checksums(self) -> dict[str, str]:
        """A digest of each encoder by name."""
        more = {f"more_identities {n}": one.checksum() for n, one in enumerate(self.more_identities)}
        fixer = {} if self.fixer is None else {"fixer": self.fixer.checksum()}
        return {"identity": self.identity.checksum(), **fixer, **more}


def build_generator(
    settings: GeneratorSettings,
    identity: IdentityEncoder,
    fixer: FixerNet | None,
    sizes: Sequence[int],
    held_out: float,
) -> Generator:
    """Return a new generator, or the one of --initial, which must have been trained with this identity encoder.

    sizes: of the triplets' crops. held_out: percent of people outside the training split.
    """
    encoders = Encoders(identity, fixer)
    if settings.base not in _CLASSES:
        raise ReliableSwapError(f"unknown --base {settings.base!r}; choose one of {', '.join(_CLASSES)}")
    if settings.initial is not None:
        if settings.channels is not None or settings.coarse_heads:
            raise ReliableSwapError(
                "--initial determines the generator's width; leave out --channels and --coarse_heads"
            )
        return load_initial(settings, _CLASSES[settings.base], encoders, sizes, held_out)
    if settings.base == "light":
        return _light(settings, encoders, sizes, held_out)
    if settings.adapter != "none":
        raise ReliableSwapError(
            f"--adapter works only with the light generator, but --base is {settings.base}"
        )
    about: dict[str, Any] = {**encoders.config, "held_out": held_out, "coarse_heads": settings.coarse_heads}
    if settings.channels is not None:
        about["channels"] = settings.channels
    try:
        if settings.base == "simswap":
            return SimSwapGenerator(sizes=crop_sizes(sizes, layers=False), **about)
        check_size(sizes, sizes[0], "FaceShifter")
        return FaceShifterGenerator(size=sizes[0], **about)
    except ValueError as error:
        raise ReliableSwapError(f"--base {settings.base} on triplets of {sizes[0]} px: {error}") from error


def _light(
    settings: GeneratorSettings, encoders: Encoders, sizes: Sequence[int], held_out: float
) -> LightGenerator:
    if settings.coarse_heads:
        raise ReliableSwapError("--coarse_heads is for simswap and faceshifter; the light generator has none")
    about: dict[str, Any] = {**encoders.config, "held_out": held_out}
    if settings.channels is not None:
        about["channels"] = [settings.channels // share for share in (8, 4, 2, 1)]
    try:
        light = LightGenerator(
            guidance_channels=4 if settings.guidance else 0,
            target_colours=target_colours(settings.target_colours, settings.layers),
            sizes=crop_sizes(sizes, settings.layers),
            layers=settings.layers,
            **about,
        )
    except ValueError as error:
        raise ReliableSwapError(
            f"--channels {settings.channels}: {error}; choose a multiple of 48"
        ) from error
    return light if settings.adapter == "none" else with_adapter(light, settings.adapter, encoders.identity)


def build_discriminator(
    settings: GeneratorSettings,
    features: PerceptualFeatures | None,
    frozen_features: PerceptualFeatures | None,
) -> Network:
    """Make the discriminator that --discriminator names. A projected one runs the frozen copy of the features."""
    kind, channels = settings.discriminator, settings.discriminator_channels
    if kind == "patch":
        return PatchDiscriminator(channels=channels)
    if kind != "projected":
        raise ReliableSwapError(f"unknown --discriminator {kind!r}; choose patch or projected")
    if features is None or frozen_features is None:
        raise ReliableSwapError("the projected discriminator needs perceptual features, but none were given")
    discriminator = ProjectedDiscriminator.from_features(features, channels=channels)
    discriminator.use_features(frozen_features)
    return discriminator
