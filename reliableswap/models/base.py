"""What every network of ours shares: the Hub's mixins and one way to complain about a shape."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin

__all__ = ["Network", "check_shape", "register_to_config"]


class Network(ModelMixin, ConfigMixin):
    """A network that saves to and loads from a folder: config.json beside safetensors."""

    config_name = "config.json"

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())


def check_shape(name: str, tensor: torch.Tensor, expected: tuple[int | None, ...], multiple: int = 1) -> None:
    """Raise if the tensor is not of the expected shape (None: any); `multiple` must divide height and width."""
    shape = tuple(tensor.shape)
    fits = len(shape) == len(expected) and all(e is None or s == e for s, e in zip(shape, expected, strict=True))
    if fits and multiple > 1:
        fits = all(s % multiple == 0 and s > 0 for s in shape[-2:])
    if not fits:
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        rule = f", height and width divisible by {multiple}" if multiple > 1 else ""
        raise ValueError(f"{name} has shape {shape}; expected ({wanted}){rule}")
