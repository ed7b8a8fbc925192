"""What every network of ours shares: the Hub's mixins, one way to load and one way to complain about a shape."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from typing_extensions import Self

from reliableswap.errors import WeightsError

__all__ = ["ModelMixin", "Network", "check_shape", "register_to_config"]


class Network(ModelMixin, ConfigMixin):
    """A network that saves to and loads from a folder: config.json beside safetensors."""

    config_name = "config.json"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name our classes by the package they are public in: that is what model_index.json remembers."""
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith(f"{__package__}."):
            cls.__module__ = str(__package__)

    @property
    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Load from a folder or a Hub repository (subfolder, revision, variant, dtype, sharded files).

        Only safetensors are read, and every weight must be there: a network that is half fresh is an error.
        """
        place = str(pretrained_model_name_or_path)
        if kwargs.pop("use_safetensors", True) is False:
            raise WeightsError(f"{place}: pickled weights are never loaded; turn them into safetensors first")
        # The other path needs accelerate, and every network of ours is small enough to be built in memory.
        kwargs.setdefault("low_cpu_mem_usage", kwargs.get("device_map") is not None)
        try:
            network, info = super().from_pretrained(
                place, use_safetensors=True, output_loading_info=True, **kwargs
            )
        except (OSError, HFValidationError) as error:
            raise WeightsError(explain_loading(cls.__name__, place, kwargs, error)) from error
        except (RuntimeError, ValueError) as error:
            # What torch or diffusers say of sizes that differ; anything else is not about the weights.
            if not any(words in str(error) for words in ("size mismatch", "expected shape")):
                raise
            raise WeightsError(
                f"{place}: {_one_line(error)}; its config.json belongs to other weights"
            ) from error
        lost = [*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])]
        if lost or info["unexpected_keys"]:
            raise WeightsError(
                f"{place} does not fit {cls.__name__}: missing {some(lost)}, unknown "
                f"{some(info['unexpected_keys'])}; load it with the class that config.json names"
            )
        # What was loaded is still the file, mapped: unaligned, so that sums may come out different in the last
        # bit, and gone wrong if the folder is written again. A copy is neither.
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.device.type == "cpu":
                tensor.data = tensor.data.clone()
        return network

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write config.json and safetensors."""
        if kwargs.pop("safe_serialization", True) is False:
            raise WeightsError(f"{save_directory}: weights are only ever written as safetensors")
        super().save_pretrained(save_directory, **kwargs)

    def to_json_string(self) -> str:
        """config.json's text; the folder a network was once loaded from is nobody's business."""
        return without_origin(super().to_json_string())

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As every torch module's; diffusers' own would warn of float32 modules that no network here has."""
        return torch.nn.Module.to(self, *args, **kwargs)


def without_origin(config: str) -> str:
    """A config's JSON less the path of the machine that it was loaded on."""
    content = json.loads(config)
    content.pop("_name_or_path", None)
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def explain_loading(wanted: str, place: str, options: dict[str, Any], error: Exception) -> str:
    """One line for a folder or repository that gives no network: what was looked for, where, and what to do."""
    folder = Path(place, options.get("subfolder") or "")
    if Path(place).is_dir():
        if not (folder / "config.json").is_file():
            return (
                f"no config.json in {folder}, so no {wanted} to load; pass the folder save_pretrained wrote"
            )
        names = sorted(
            p.name for p in folder.iterdir() if p.suffix in {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
        )
        variant = f" of variant {options['variant']!r}" if options.get("variant") else ""
        return (
            f"no safetensors weights{variant} for {wanted} in {folder} (weight files there: {some(names)}); "
            "pickled weights are never loaded, pass the right variant or convert them first"
        )
    if constants.HF_HUB_OFFLINE or options.get("local_files_only"):
        return (
            f"{place} is neither a folder nor in the local Hub cache, and the Hub is not asked while offline "
            "(HF_HUB_OFFLINE or local_files_only); check the path, or load it once while online"
        )
    return f"no {wanted} at {place}: {_one_line(error)}; check the folder or the Hub repository's name"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")


def some(names: Sequence[str]) -> str:
    """The first few names of what may be a long list, for an error that has one line."""
    shown = ", ".join(names[:6]) or "none"
    return shown + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def check_shape(name: str, tensor: torch.Tensor, expected: tuple[int | None, ...], multiple: int = 1) -> None:
    """Raise if the tensor is not of the expected shape (None: any); `multiple` must divide height and width."""
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
