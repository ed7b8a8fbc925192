"""Load the generator of --initial, from an earlier training or a converted checkpoint, and add what a run needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import TEMPLATES, similarity
from reliableswap.models import (
    FixerNet,
    Generator,
    IdentityEncoder,
    LightGenerator,
    load_network,
)
from reliableswap.models.adapter import adapter_config
from reliableswap.models.layer_maps import SIDE
from reliableswap.models.layer_maps import SIZES as LAYER_SIZES

from .settings import GeneratorSettings

logger = logging.getLogger(__name__)

TEMPLATE = "arcface_128"  # of the triplets' crops


@dataclass(frozen=True)
class Encoders:
    """The encoders that a generator is trained with."""

    identity: IdentityEncoder
    fixer: FixerNet | None = None

    @property
    def config(self) -> dict[str, str | int]:
        """The entries that describe them in a generator's config."""
        return {
            "identity_dim": self.identity.embedding_size,
            "fixer_dim": self.fixer.embedding_size if self.fixer is not None else 0,
            "identity_encoder": self.identity.label,
            "identity_checksum": self.identity.checksum(),
            "fixer_checksum": self.fixer.checksum() if self.fixer is not None else "",
        }


def load_initial(
    settings: GeneratorSettings,
    expected: type[Generator],
    encoders: Encoders,
    sizes: Sequence[int],
    held_out: float,
) -> Generator:
    """Load the generator of --initial and change it to what this run asks for.

    Its identity encoder must be this run's. A FixerNet may be added.
    """
    assert settings.initial is not None
    folder = settings.initial
    generator = load_network(folder)
    if not isinstance(generator, expected):
        raise ReliableSwapError(
            f"{folder} holds a {type(generator).__name__}, but --base is {settings.base}; choose the matching "
            "--preset or --base"
        )
    _check_identity(generator, folder, encoders.identity)
    generator = _with_fixer(generator, folder, encoders.fixer)
    if isinstance(generator, LightGenerator):
        if settings.layers:
            generator = _with_layers(generator)
        if settings.adapter != "none":
            generator = with_adapter(generator, settings.adapter, encoders.identity)
    elif settings.adapter != "none":
        raise ReliableSwapError(
            f"--adapter works only with the light generator, but --initial holds a {type(generator).__name__}"
        )
    _set_crops(generator, folder, sizes)
    # The result has also seen the people of the earlier training.
    generator.register_to_config(
        held_out=min(held_out, generator.config["held_out"]), identity_encoder=encoders.identity.label
    )
    return generator


def _check_identity(generator: Generator, folder: Path, encoder: IdentityEncoder) -> None:
    known, name = generator.config["identity_checksum"], generator.config["identity_encoder"]
    length = generator.config["identity_dim"]
    if not known:
        raise ReliableSwapError(
            f"{folder} takes the {length}-d vectors of an identity encoder, but has no identity_checksum to tell "
            "which one; convert the checkpoint again with --encoder, and pass that encoder's folder as --identity"
        )
    if known != encoder.checksum():
        raise ReliableSwapError(
            f"{folder} was trained with {name or 'an unnamed encoder'} ({length}-d, identity_checksum {known}), but "
            f"this run's encoder is {encoder.label} ({encoder.embedding_size}-d, {encoder.checksum()}); pass the "
            "folder of the generator's encoder as --identity"
        )


def _with_fixer(generator: Generator, folder: Path, fixer: FixerNet | None) -> Generator:
    """Return the generator for v_full = [v_id ; v_fix]; widen one that takes v_id alone."""
    length, known = generator.config["fixer_dim"], generator.config["fixer_checksum"]
    if fixer is None:
        if length:
            raise ReliableSwapError(
                f"{folder} takes the {length}-d vector of a FixerNet (fixer_checksum {known or 'unknown'}); pass its "
                "folder as --fixer"
            )
        return generator
    if not length:
        logger.info("%s was trained without a FixerNet; its weights for v_fix start at zero", folder)
        return widened(generator, fixer)
    if length != fixer.embedding_size:
        raise ReliableSwapError(
            f"{folder} takes the {length}-d vector of its FixerNet, but --fixer gives {fixer.embedding_size}-d ones; "
            "pass the FixerNet that it was trained with"
        )
    if not known:
        logger.warning(
            "warning: %s does not say which FixerNet it was trained with (converted generators don't), so --fixer "
            "can't be checked",
            folder,
        )
    elif known != fixer.checksum():
        raise ReliableSwapError(
            f"{folder} was trained with the FixerNet of fixer_checksum {known}, but --fixer has {fixer.checksum()}; "
            "pass the FixerNet that it was trained with"
        )
    generator.register_to_config(fixer_checksum=fixer.checksum())
    return generator


def widened(generator: Generator, fixer: FixerNet) -> Generator:
    """Return the generator with inputs for a FixerNet's vector. Their weights are zero, so at first nothing changes."""
    if generator.config.get("adapter_join", "none") != "none":
        raise ReliableSwapError(
            "a FixerNet can't be added to a generator with an adapter; leave out --fixer, or start from a generator "
            "without an adapter"
        )
    config = {name: value for name, value in generator.config.items() if not name.startswith("_")}
    config |= {"fixer_dim": fixer.embedding_size, "fixer_checksum": fixer.checksum()}
    wide, weights = type(generator)(**config), generator.state_dict()
    for name, like in wide.state_dict().items():
        if weights[name].shape != like.shape:
            padded = torch.zeros_like(like)
            padded[tuple(slice(length) for length in weights[name].shape)] = weights[name]
            weights[name] = padded
    wide.load_state_dict(weights)
    return wide


def _set_crops(generator: Generator, folder: Path, sizes: Sequence[int]) -> None:
    """Set the config to this run's crops, and warn if their template differs from the generator's."""
    if generator.size is not None:
        check_size(sizes, generator.size, str(folder))
    else:
        known = {*sizes, *generator.config["sizes"]}
        generator.register_to_config(sizes=crop_sizes(known, bool(generator.config.get("layers"))))
    template = generator.config["template"]
    if template != TEMPLATE:
        matrix = similarity(TEMPLATES[template].at(128), TEMPLATES[TEMPLATE].at(128))
        scale, shift = float(np.hypot(*matrix[:, 0])), matrix @ (63.5, 63.5, 1) - 63.5
        logger.warning(
            "warning: %s was trained on crops with the template %s and is now trained with %s: faces are %.2f times "
            "as large and moved by %.0f %% of the crop's side",
            folder, template, TEMPLATE, scale, 100 * np.hypot(*shift) / 128,
        )  # fmt: skip
        generator.register_to_config(template=TEMPLATE)


def check_size(sizes: Sequence[int], size: int, who: str) -> None:
    """Raise unless all triplets have `size`, the only one that the generator takes."""
    if other := [one for one in sizes if one != size]:
        raise ReliableSwapError(
            f"{who} takes crops of {size} px only, but the triplets have {other[0]} px; make triplets with "
            f"`reliableswap triplets --size {size}`"
        )


def _with_layers(generator: LightGenerator) -> LightGenerator:
    """Return the generator with a new layer head, or as it is if it has one."""
    if generator.config["layers"]:
        return generator
    config = {name: value for name, value in generator.config.items() if not name.startswith("_")}
    colours = target_colours(config["target_colours"], layers=True)
    layered = LightGenerator(**{**config, "layers": True, "target_colours": colours})
    layered.load_state_dict(generator.state_dict(), strict=False)
    return layered


def with_adapter(generator: LightGenerator, join: str, identity: IdentityEncoder) -> LightGenerator:
    """Return the generator with a new adapter, a copy of the identity encoder at first; or as it is if it has one."""
    if generator.config["adapter_join"] != "none":
        if generator.config["adapter_join"] != join:
            raise ReliableSwapError(
                f"--initial has an adapter joined by {generator.config['adapter_join']}, but --adapter is {join}"
            )
        return generator
    config = {name: value for name, value in generator.config.items() if not name.startswith("_")}
    adapted = LightGenerator(**{**config, "adapter_join": join, "adapter_encoder": adapter_config(identity)})
    weights, first = generator.state_dict(), "style.first.weight"
    if join == "concat":  # add columns for the adapter's output, which is zero at the start
        fresh = adapted.state_dict()[first]
        weights[first] = torch.cat([weights[first], fresh[:, weights[first].shape[1] :]], 1)
    adapted.load_state_dict(weights, strict=False)
    assert adapted.adapter is not None
    adapted.adapter.start_from(identity)
    return adapted


def target_colours(cells: int, layers: bool) -> int:
    """Return the side of the colour grid. With layers it has a cell per pixel of the drawn layer, as that is seen
    beside a photo."""
    return SIDE if layers and cells else cells


def crop_sizes(trained: Iterable[int], layers: bool) -> list[int]:
    """Return the crop sizes for a generator's config: those trained on, and those a layered one is exported for."""
    return sorted({*trained, *(LAYER_SIZES if layers else ())})
