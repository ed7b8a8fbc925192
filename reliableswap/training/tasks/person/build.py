"""Build the network to train: new, started from the bundled network of everybody, or from an earlier training."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import nn

from reliableswap.bundled import WEIGHTS, bundled
from reliableswap.data.encoders import FolderEncoder
from reliableswap.errors import ReliableSwapError
from reliableswap.models import load_network
from reliableswap.models.comb_autoencoder import CombAutoencoder
from reliableswap.models.comb_general import GeneralAutoencoder

from .frames import Frames
from .settings import PersonSettings

logger = logging.getLogger(__name__)

BUNDLED_NAME = "person"  # name of the bundled network
_LIGHT_FIRST = 64  # side of the first level with light blocks
_SHARED_SETTINGS = ("latent", "base_channels", "max_channels", "norm", "template", "blocks")


def build_network(settings: PersonSettings, people: Sequence[Frames]) -> tuple[CombAutoencoder, int]:
    """Return the network with each person's portrait, and the side of the first level to train.

    People of an earlier training who are not trained now stay in the network only if the encoder is frozen.
    """
    names = [one.person for one in people]
    earlier = initial_network(settings)
    if earlier is None and not settings.train_encoder:
        raise ReliableSwapError("--no-train-encoder needs --initial with a trained encoder")
    kept = []
    if isinstance(earlier, CombAutoencoder) and not settings.train_encoder:
        kept = [name for name in earlier.people if name not in names]
    shared = {name: getattr(settings, name) for name in _SHARED_SETTINGS}
    network = CombAutoencoder([*names, *kept], size=settings.size, **shared)
    first = network.encoder.sides[0] if settings.blocks == "paper" else min(_LIGHT_FIRST, settings.size)
    for one in people:
        network.decoder(one.person).init_colour(torch.from_numpy(one.colour))
    if earlier is not None:
        _copy(earlier.encoder, network.encoder)
        first = int(earlier.encoder.stage.side)
    if isinstance(earlier, GeneralAutoencoder):
        vectors = FolderEncoder(bundled("identity"))([one.portrait for one in people])
        for one, vector in zip(people, vectors, strict=True):
            _copy(earlier.decoder_of(torch.from_numpy(vector)), network.decoder(one.person))
    elif earlier is not None:
        for name in network.people:
            known = name if name in earlier.people else earlier.people[0]
            _copy(earlier.decoder(known), network.decoder(name))
    network.encoder.requires_grad_(settings.train_encoder)
    for name in kept:
        network.decoder(name).requires_grad_(False)
    for one in people:
        network.decoder(one.person).portrait.keep(
            torch.from_numpy(one.portrait), torch.from_numpy(one.portrait_mesh)
        )
    return network, settings.first_size or first


def initial_network(settings: PersonSettings) -> CombAutoencoder | GeneralAutoencoder | None:
    """Load the network that `initial` names, or return None; raise if it does not fit the settings."""
    given = settings.initial
    if given == "none":
        return None
    if given == "auto" and not (WEIGHTS / BUNDLED_NAME / "config.json").is_file():
        logger.info("training starts from scratch: no network of everybody is bundled")
        return None
    own = given in ("auto", "bundled")
    earlier = load_network(bundled(BUNDLED_NAME) if own else given)
    if not isinstance(earlier, CombAutoencoder | GeneralAutoencoder):
        raise ReliableSwapError(
            f"--initial {given} holds a {type(earlier).__name__}; give the folder of a training of people or of "
            "everybody"
        )
    differing = [
        f"{name} {earlier.config[name]}"
        for name in _SHARED_SETTINGS
        if earlier.config[name] != getattr(settings, name)
    ]
    if earlier.config["size"] > settings.size:
        differing.append(f"size {earlier.config['size']} (--size may only be larger)")
    if not differing:
        logger.info("training starts from %s", "the bundled network" if own else given)
        return earlier
    if given == "auto":
        logger.info("training starts from scratch: the bundled network has %s", ", ".join(differing))
        return None
    raise ReliableSwapError(f"{given} has {', '.join(differing)}; use the same settings")


def _copy(earlier: nn.Module, new: nn.Module) -> None:
    """Copy the tensors that both have; further levels of a larger network stay new."""
    known, wanted = earlier.state_dict(), new.state_dict()
    new.load_state_dict({name: known.get(name, tensor) for name, tensor in wanted.items()})
