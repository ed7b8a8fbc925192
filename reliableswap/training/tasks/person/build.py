"""The network to train: a new one, or an earlier one with more people or a larger side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from reliableswap.errors import ReliableSwapError
from reliableswap.models.comb_autoencoder import CombAutoencoder

from .frames import Frames
from .settings import PersonSettings

_SAME = ("latent", "base_channels", "max_channels", "norm", "template")


def build_network(settings: PersonSettings, people: Sequence[Frames]) -> tuple[CombAutoencoder, int]:
    """The network with everybody's portrait, and the side of the level to begin with.

    People of --initial who are not trained stay in it only if the encoder does not change.
    """
    names = [one.person for one in people]
    earlier = CombAutoencoder.from_pretrained(settings.initial) if settings.initial is not None else None
    kept = [] if settings.train_encoder or earlier is None else [n for n in earlier.people if n not in names]
    shared = {name: getattr(settings, name) for name in _SAME}
    network = CombAutoencoder([*names, *kept], size=settings.size, **shared)
    first = settings.first_size or network.encoder.sides[0]
    for one in people:
        network.decoder(one.person).begin_with(torch.from_numpy(one.colour))
    if earlier is not None:
        _check_same(earlier, settings)
        _copy(earlier.encoder, network.encoder)
        for name in network.people:
            known = name if name in earlier.people else earlier.people[0]
            _copy(earlier.decoder(known), network.decoder(name))
        first = settings.first_size or int(earlier.encoder.stage.side)
    network.encoder.requires_grad_(settings.train_encoder)
    for name in kept:
        network.decoder(name).requires_grad_(False)
    for one in people:
        network.decoder(one.person).portrait.keep(
            torch.from_numpy(one.portrait), torch.from_numpy(one.portrait_mesh)
        )
    return network, first


def _check_same(earlier: CombAutoencoder, settings: PersonSettings) -> None:
    differing = [
        f"{name} {earlier.config[name]}" for name in _SAME if earlier.config[name] != getattr(settings, name)
    ]
    if differing:
        raise ReliableSwapError(f"{settings.initial} has {', '.join(differing)}; give the same values")
    if earlier.config["size"] > settings.size:
        raise ReliableSwapError(
            f"{settings.initial} has {earlier.config['size']} px; give --size {earlier.config['size']} or larger"
        )


def _copy(earlier: nn.Module, new: nn.Module) -> None:
    """Copy what both have; a larger side's further levels stay new."""
    known, wanted = earlier.state_dict(), new.state_dict()
    new.load_state_dict({name: known.get(name, tensor) for name, tensor in wanted.items()})
