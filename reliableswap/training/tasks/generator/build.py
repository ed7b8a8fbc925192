"""The networks of a generator's training: a fresh or earlier generator, its discriminator, the frozen networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

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
from reliableswap.models.adapter import adapter_config
from reliableswap.models.base import Network
from reliableswap.models.layers import SIDE
from reliableswap.models.layers import SIZES as LAYER_SIZES

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
        """Load what the settings name, and bundled networks for the rest."""
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
    """A fresh generator, or the one of --initial, which must have been trained with these encoders.

    sizes: of the triplets' crops; a base with a single size takes the first. held_out: percent of people outside the
    training split.
    """
    encoders: dict[str, Any] = {
        "identity_dim": identity.embedding_size,
        "fixer_dim": fixer.embedding_size if fixer is not None else 0,
        "identity_encoder": identity.label,
        "identity_checksum": identity.checksum(),
        "fixer_checksum": fixer.checksum() if fixer is not None else "",
    }
    if settings.base not in _CLASSES:
        raise ReliableSwapError(f"unknown --base {settings.base!r}; choose one of {', '.join(_CLASSES)}")
    if settings.initial is not None:
        initial = _CLASSES[settings.base].from_pretrained(settings.initial)
        if settings.layers and isinstance(initial, LightGenerator):
            initial = _with_layers(initial)
        if settings.adapter != "none":
            initial = _with_adapter(initial, settings.adapter, identity)
        return _continued(initial, settings.initial, encoders, sizes, held_out)
    if settings.adapter != "none" and settings.base != "light":
        raise ReliableSwapError(f"--adapter is for the light generator, and --base is {settings.base}")
    width = {} if settings.channels is None else {"channels": settings.channels}
    if settings.base == "faceshifter":
        return FaceShifterGenerator(size=sizes[0], held_out=held_out, **width, **encoders)
    if settings.base == "simswap":
        return SimSwapGenerator(held_out=held_out, **width, **encoders)
    if width:
        raise ReliableSwapError(
            "--channels is for simswap and faceshifter; the light generator has one width"
        )
    light = LightGenerator(
        guidance_channels=4 if settings.guidance else 0,
        target_colours=_target_colours(settings.target_colours, settings.layers),
        sizes=_sizes(sizes, settings.layers),
        held_out=held_out,
        layers=settings.layers,
        **encoders,
    )
    return light if settings.adapter == "none" else _with_adapter(light, settings.adapter, identity)


def _continued(
    generator: Generator, folder: Path, encoders: Mapping[str, Any], sizes: Sequence[int], held_out: float
) -> Generator:
    """The generator of an earlier training, its config extended by what this one adds."""
    other = [name for name, value in encoders.items() if generator.config[name] != value]
    if other:
        raise ReliableSwapError(
            f"{folder} was trained with another {', '.join(other)} than this run's encoders give; "
            "pass its own --identity and --fixer"
        )
    # Whom the earlier training saw, the result has seen.
    generator.register_to_config(held_out=min(held_out, generator.config["held_out"]))
    if isinstance(generator, LightGenerator):
        known = {*sizes, *generator.config["sizes"]}
        generator.register_to_config(sizes=_sizes(known, generator.config["layers"]))
    return generator


def _with_layers(generator: LightGenerator) -> LightGenerator:
    """The generator with a new layer head, or itself if it has one."""
    if generator.config["layers"]:
        return generator
    config = {name: value for name, value in generator.config.items() if not name.startswith("_")}
    colours = _target_colours(config["target_colours"], layers=True)
    layered = LightGenerator(**{**config, "layers": True, "target_colours": colours})
    layered.load_state_dict(generator.state_dict(), strict=False)
    return layered


def _with_adapter(generator: Generator, join: str, identity: IdentityEncoder) -> Generator:
    """The generator with a new adapter, which starts as a copy of the identity encoder; or itself if it has one."""
    if not isinstance(generator, LightGenerator):
        raise ReliableSwapError(
            f"--adapter is for the light generator, and --initial holds a {type(generator).__name__}"
        )
    if generator.config["adapter_join"] != "none":
        if generator.config["adapter_join"] != join:
            raise ReliableSwapError(
                f"--initial has an adapter joined by {generator.config['adapter_join']}, and --adapter is {join}"
            )
        return generator
    config = {name: value for name, value in generator.config.items() if not name.startswith("_")}
    adapted = LightGenerator(**{**config, "adapter_join": join, "adapter_encoder": adapter_config(identity)})
    weights, first = generator.state_dict(), "style.first.weight"
    if join == "concat":  # columns for the adapter's answer, which is zero at the start
        fresh = adapted.state_dict()[first]
        weights[first] = torch.cat([weights[first], fresh[:, weights[first].shape[1] :]], 1)
    adapted.load_state_dict(weights, strict=False)
    assert adapted.adapter is not None
    adapted.adapter.start_from(identity)
    return adapted


def _target_colours(cells: int, layers: bool) -> int:
    """With layers every pixel that is drawn has its colour given: what is drawn is seen beside a photo."""
    return SIDE if layers and cells else cells


def _sizes(trained: Iterable[int], layers: bool) -> list[int]:
    """The crop sizes to use a generator at: layers are applied at any size, and a photo's face fits one of these."""
    return sorted({*trained, *(LAYER_SIZES if layers else ())})


def build_discriminator(
    settings: GeneratorSettings,
    features: PerceptualFeatures | None,
    frozen_features: PerceptualFeatures | None,
) -> Network:
    """The discriminator that --discriminator names. A projected one runs the frozen copy of the features."""
    kind, channels = settings.discriminator, settings.discriminator_channels
    if kind == "patch":
        return PatchDiscriminator(channels=channels)
    if kind != "projected":
        raise ReliableSwapError(f"unknown --discriminator {kind!r}; choose patch or projected")
    if features is None or frozen_features is None:
        raise ReliableSwapError("the projected discriminator judges perceptual features, and none were given")
    discriminator = ProjectedDiscriminator.from_features(features, channels=channels)
    discriminator.use_features(frozen_features)
    return discriminator
