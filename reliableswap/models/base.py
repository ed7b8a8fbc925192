"""Network, the base class of all networks, with strict loading and saving; and check_shape, for inputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub.errors import HFValidationError

from reliableswap.errors import WeightsError

from .messages import explain_loading, first_few, one_line

__all__ = ["ModelMixin", "Network", "check_shape", "register_to_config"]


class Network(ModelMixin, ConfigMixin):
    """A network that saves to and loads from a folder with config.json and safetensors.

    runs_itself: PyTorch does not run its layers, so it is neither compiled nor exported.
    checksum_settings: config values that count as weights, besides its tensors.
    """

    config_name = "config.json"
    runs_itself: ClassVar[bool] = False
    checksum_settings: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set the module of our classes to the package that exports them: model_index.json stores it."""
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith(f"{__package__}."):
            cls.__module__ = str(__package__)

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Load from a folder or a Hub repository (subfolder, revision, variant, dtype, sharded files).

        Only safetensors are read. Missing, unknown or misshapen weights raise a WeightsError.
        """
        place = str(pretrained_model_name_or_path)
        if kwargs.pop("use_safetensors", True) is False:
            raise WeightsError(
                f"{place}: pickled weights are never loaded; convert them to safetensors first"
            )
        # diffusers' default needs accelerate; our networks are small enough to do without.
        kwargs.setdefault("low_cpu_mem_usage", kwargs.get("device_map") is not None)
        try:
            network, info = super().from_pretrained(
                place, use_safetensors=True, output_loading_info=True, **kwargs
            )
        except (OSError, HFValidationError) as error:
            raise WeightsError(explain_loading(cls.__name__, place, kwargs, error)) from error
        except (RuntimeError, ValueError) as error:
            # Of these errors from torch and diffusers, only those about sizes concern the weights.
            if not any(words in str(error) for words in ("size mismatch", "expected shape")):
                raise
            raise WeightsError(
                f"{place}: {one_line(error)}; its config.json describes other weights"
            ) from error
        lost = [*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])]
        if lost or info["unexpected_keys"]:
            raise WeightsError(
                f"{place} does not fit {cls.__name__}: missing {first_few(lost)}, unknown "
                f"{first_few(info['unexpected_keys'])}; load it with the class that config.json names"
            )
        # Copy the tensors. As loaded they are views of the memory-mapped file: unaligned, which changes sums in the
        # last bit, and broken when the folder is rewritten.
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.device.type == "cpu":
                tensor.data = tensor.data.clone()
        return network

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write config.json and safetensors into a folder."""
        if kwargs.pop("safe_serialization", True) is False:
            raise WeightsError(
                f"{save_directory}: weights are saved as safetensors only; leave safe_serialization out"
            )
        super().save_pretrained(save_directory, **kwargs)
        # safetensors writes files that only their owner can read; give them the permissions of config.json.
        folder = Path(save_directory)
        for weights in folder.glob("*.safetensors"):
            weights.chmod((folder / self.config_name).stat().st_mode)

    def to_json_string(self) -> str:
        """Return config.json's text, without the path that the network was loaded from."""
        return without_origin(super().to_json_string())

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move as torch does; diffusers' version warns about modules kept in float32, which no network here has."""
        return torch.nn.Module.to(self, *args, **kwargs)


def without_origin(config: str) -> str:
    """Return a config's JSON without the path that it was loaded from."""
    content = json.loads(config)
    content.pop("_name_or_path", None)
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def check_shape(name: str, tensor: torch.Tensor, expected: tuple[int | None, ...], multiple: int = 1) -> None:
    """Raise unless the tensor has the expected shape (None: any), with height and width divisible by `multiple`."""
    shape = tuple(tensor.shape)
    fits = len(shape) == len(expected) and all(
        e is None or s == e for s, e in zip(shape, expected, strict=True)
    )
    if fits and multiple > 1:
        fits = all(s % multiple == 0 and s > 0 for s in shape[-2:])
    if not fits:
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        rule = f", height and width divisible by {multiple}" if multiple > 1 else ""
        raise ValueError(f"{name} has shape {shape}; expected ({wanted}){rule}")
