"""Load, save and upload a pipeline."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging
from huggingface_hub import HfApi

from reliableswap.bundled import bundled
from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.models.base import without_origin
from reliableswap.models.messages import one_line
from reliableswap.runtime.exported import is_exported

from .card import pipeline_card

_HUB = ("repo_id", "private", "token", "commit_message", "revision")


class StoredPipeline(DiffusionPipeline):
    """A pipeline in a folder or on the Hub: networks as safetensors, model_index.json and a card."""

    _bundled = ""  # its folder among the networks that ship with the package

    def __setattr__(self, name: str, value: Any) -> None:
        """Register a component where there was none: otherwise diffusers would not save it."""
        optional = name in self._optional_components and name in self.__dict__
        if optional and value is not None and self.config[name][0] is None:
            self.register_modules(**{name: value})
        else:
            super().__setattr__(name, value)

    @classmethod
    def bundled(cls, **kwargs: Any) -> Self:
        """Load the pipeline with the networks that ship with the package."""
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # a few megabytes from the disk need none
        try:
            return cls.from_pretrained(bundled(cls._bundled), **kwargs)
        finally:
            if shown:
                logging.enable_progress_bar()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Load from a folder or a Hub repository; errors are one line."""
        place = str(pretrained_model_name_or_path)
        if is_exported(place):
            raise WeightsError(
                f"{place} is an exported folder, not a save_pretrained folder; load it with "
                "reliableswap.ExportedPipeline.from_pretrained"
            )
        # Convert after loading: the encoder check compares values that bfloat16 would round.
        old, new = kwargs.pop("torch_dtype", None), kwargs.pop("dtype", None)
        dtype = old if new is None else new
        # diffusers' default for this needs accelerate, which swapping does without.
        kwargs.setdefault("low_cpu_mem_usage", kwargs.get("device_map") is not None)
        kwargs.setdefault("use_safetensors", True)
        try:
            pipe: Self = super().from_pretrained(place, **kwargs)
        except ReliableSwapError:
            raise
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"no pipeline at {place}: {one_line(error)}; pass a folder that save_pretrained wrote, or the name of "
                "a Hub repository"
            ) from error
        return pipe if dtype is None else pipe.to(dtype)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *,
        figures: Mapping[str, float | str] | None = None,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write every network, model_index.json and a card with the measured `figures` by name.

        With push_to_hub, also upload the folder to the Hub (repo_id, private, token, commit_message, revision).
        """
        networks = [network for network in self.components.values() if network is not None]
        if any(p.dtype == torch.bfloat16 for network in networks for p in network.parameters()):
            raise WeightsError(
                "a pipeline in bfloat16 can't be saved: after rounding, its encoders can't be recognised as those that "
                "the generator was trained with; load it again in float32 or float16"
            )
        try:
            self.check_weights()
        except WeightsError as error:
            raise WeightsError(
                f"the pipeline was not saved, because it could not be loaded again: {error}; weights that were in "
                "bfloat16 stay rounded, so load it again in float32"
            ) from error
        hub = {key: kwargs.pop(key) for key in _HUB if key in kwargs}
        super().save_pretrained(save_directory, **kwargs)
        folder = Path(save_directory)
        place = str(hub.get("repo_id") or folder.name)
        (folder / "README.md").write_text(self.card(place, figures), encoding="utf-8")
        if push_to_hub:
            api = HfApi(token=hub.get("token"))
            repo = api.create_repo(place, private=hub.get("private"), exist_ok=True).repo_id
            api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=hub.get("commit_message") or "Upload a ReliableSwap pipeline",
                revision=hub.get("revision"),
            )

    def check_weights(self) -> None:
        """Raise WeightsError unless the networks fit together; subclasses read the weights to check."""

    def card(self, place: str, figures: Mapping[str, float | str] | None) -> str:
        """Return the card's text. `place` is what its example loads; `figures` are measured values by name."""
        return pipeline_card(self.components, place, figures)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> None:
        """Save to a temporary folder and upload it. kwargs: as for save_pretrained."""
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, push_to_hub=True, repo_id=repo_id, **kwargs)

    def to_json_string(self) -> str:
        """Return the text of model_index.json, without the path that the pipeline was loaded from."""
        return without_origin(super().to_json_string())
