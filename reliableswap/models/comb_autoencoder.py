"""CombAutoencoder: one encoder for all people and a decoder for each, grown level by level (Naruniec et al., 2020).

The encoder sees everybody, so its latent holds what people share: pose, expression, light and gaze. A decoder is
trained on one person only, so it draws that person whatever the latent. Decoding with another person's decoder swaps
the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.errors import ReliableSwapError, WeightsError

from .base import Network, register_to_config
from .comb_decoder import CombDecoder, Stage
from .comb_levels import MAP, SLOPE, channels_at, coarsest, encoder_level, from_pixels, sides
from .compat import weights_checksum

_SHARED = ("size", "latent", "base_channels", "max_channels", "norm", "template", "blocks")


class CombEncoder(nn.Module):
    """(B,3,S,S) in [-1,1] -> (B,latent), for S of any level."""

    def __init__(
        self, size: int, latent: int, base_channels: int, max_channels: int, norm: str, blocks: str
    ) -> None:
        super().__init__()
        self.sides = sides(size, blocks)
        widths = {side: channels_at(side, base_channels, max_channels) for side in self.sides}
        self.levels, self.from_rgb = nn.ModuleDict(), nn.ModuleDict()
        for side in self.sides:
            self.levels[str(side)] = encoder_level(blocks, widths[side], widths.get(side // 2), norm)
            self.from_rgb[str(side)] = from_pixels(blocks, widths[side])
        self.last = nn.Linear(widths[self.sides[0]] * MAP**2, latent)
        self.normalise_latents = blocks == "light"  # normalise latents to mean 0 and variance 1
        self.stage = Stage(coarsest(blocks))

    def forward(self, pictures: Tensor) -> Tensor:
        side = pictures.shape[-1]
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (3, side, side) or side not in self.sides:
            raise ValueError(
                f"pictures has shape {tuple(pictures.shape)}; expected (any, 3, S, S) with S one of "
                f"{', '.join(map(str, self.sides))}"
            )
        x = self._features(pictures)
        for step in reversed(self.sides[: self.sides.index(side) + 1]):
            x = self.levels[str(step)](x)
            if step == side and step > self.sides[0]:
                x = self.stage(self._features(F.avg_pool2d(pictures, 2)), x)
        latents: Tensor = self.last(x.flatten(1))
        return F.layer_norm(latents, latents.shape[1:]) if self.normalise_latents else latents

    def _features(self, pictures: Tensor) -> Tensor:
        return F.leaky_relu(self.from_rgb[str(pictures.shape[-1])](pictures), SLOPE)


class CombAutoencoder(Network):
    """(B,3,S,S) in [-1,1] -> (B,3,S,S): the face of a person, in the pose, expression and light of the pictures.

    S is 4, 8, ... size; `side_of` gives the side that a person was trained at. The paper's widths are 16 channels at
    1024 px (base_channels), doubled at each smaller level, at most 512 (max_channels). norm: "none", "batch" or
    "group", after each convolution. template: how pictures are aligned. blocks: "paper", or "light" for levels of 8,
    16, ... size at a quarter of the cost.
    """

    @register_to_config
    def __init__(
        self,
        people: Sequence[str] = ("one", "other"),
        size: int = 128,
        latent: int = 512,
        base_channels: int = 16,
        max_channels: int = 512,
        norm: str = "none",
        template: str = "arcface_128",
        blocks: str = "paper",
    ) -> None:
        super().__init__()
        if len(set(people)) < len(people):
            raise ReliableSwapError(
                f"duplicate names in people: {', '.join(people)}; give each a unique name"
            )
        self.encoder = CombEncoder(size, latent, base_channels, max_channels, norm, blocks)
        shared = (size, latent, base_channels, max_channels, norm, template, blocks)
        self.decoders = nn.ModuleDict({name: CombDecoder(name, *shared) for name in people})

    def forward(self, pictures: Tensor, person: str | None = None) -> Tensor:
        """(B,3,S,S) in [-1,1] -> (B,3,S,S) in about [-1,1], by the person's decoder; by default the first person's."""
        name = next(iter(self.decoders)) if person is None else person
        if name not in self.decoders:
            raise self._unknown(name)
        made: Tensor = self.decoders[name](self.encoder(pictures), pictures.shape[-1])
        return made

    @property
    def people(self) -> list[str]:
        """The names of the decoders."""
        return list(self.decoders)

    @property
    def trained(self) -> list[str]:
        """The people whose decoders are trained; others have no portrait."""
        return [name for name in self.decoders if not self.decoder(name).portrait.empty]

    def decoder(self, person: str) -> CombDecoder:
        """Return this network's decoder of a person, not a copy."""
        if person not in self.decoders:
            raise self._unknown(person)
        found = self.decoders[person]
        assert isinstance(found, CombDecoder)
        return found

    def side_of(self, person: str) -> int:
        """Return the side of the pictures that a person's decoder was trained at."""
        return int(self.decoder(person).stage.side)

    def grow(self, side: int, fade: float = 1.0, people: Sequence[str] | None = None) -> None:
        """Set the level being trained and its fade-in weight, in the encoder and people's decoders."""
        self.encoder.stage.grow(side, fade)
        for name in people or self.decoders:
            self.decoder(name).stage.grow(side, fade)

    def encoder_checksum(self) -> str:
        """Return a fingerprint of the encoder: a decoder fits only the encoder that it was trained with."""
        return weights_checksum(_Weights(self), ())  # type: ignore[arg-type]

    def export_decoder(self, person: str) -> CombDecoder:
        """Return a copy of a person's decoder with this encoder's checksum, to be saved by `save_pretrained`."""
        inside = self.decoder(person)
        alone = CombDecoder(person, *self._shared, encoder_checksum=self.encoder_checksum())
        alone.load_state_dict(inside.state_dict())
        return alone.to(inside.first.weight).train(self.training)

    def add_decoder(self, decoder: CombDecoder) -> None:
        """Add a decoder exported from a network with this encoder; replace the person's previous one."""
        wanted, given = dict(zip(_SHARED, self._shared, strict=True)), decoder.config
        differing = [name for name in _SHARED if given[name] != wanted[name]]
        if differing:
            raise WeightsError(
                f"the decoder of {given.person} differs from this network in {' and '.join(differing)}; add it to the "
                "network that it was trained in"
            )
        if given.encoder_checksum != self.encoder_checksum():
            raise WeightsError(
                f"the decoder of {given.person} was trained with another encoder (checksum "
                f"{given.encoder_checksum or 'unknown'}, this one has {self.encoder_checksum()}); use it with that one"
            )
        self.decoders[given.person] = decoder.to(self.encoder.last.weight).train(self.training)
        self.register_to_config(people=self.people)

    def checksum(self) -> str:
        """Return a fingerprint of the weights."""
        return weights_checksum(self, ())

    @property
    def _shared(self) -> tuple[Any, ...]:
        return tuple(self.config[name] for name in _SHARED)

    def _unknown(self, person: str) -> ReliableSwapError:
        known = ", ".join(self.decoders) or "none"
        return ReliableSwapError(f"no decoder for {person!r}; available: {known}")


class _Weights:
    """An encoder's weights in the form that `weights_checksum` takes, without the state of its stage."""

    def __init__(self, network: CombAutoencoder) -> None:
        self.config: dict[str, Any] = {}
        self._tensors = {
            name: tensor
            for name, tensor in network.encoder.state_dict().items()
            if not name.startswith("stage.")
        }

    def state_dict(self) -> dict[str, Tensor]:
        return self._tensors
