"""Load a network without naming its class: config.json names it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from huggingface_hub.errors import HFValidationError

from reliableswap.errors import WeightsError
from reliableswap.models import NETWORKS, ONNX_NETWORKS, TOKEN_NETWORKS

from .base import Network
from .messages import explain_loading

_HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token", "proxies")


def load_network(
    folder_or_repo: str | os.PathLike[str], subfolder: str | None = None, **kwargs: Any
) -> Network:
    """Load the network in a folder or Hub repository; kwargs are those of `from_pretrained`."""
    place = str(folder_or_repo)
    options = {key: kwargs[key] for key in _HUB_OPTIONS if key in kwargs}
    if subfolder is not None:
        kwargs["subfolder"] = options["subfolder"] = subfolder
    try:
        config = Network.load_config(place, **options)
    except (OSError, HFValidationError) as error:
        raise WeightsError(explain_loading("network", place, options, error)) from error
    name = config.get("_class_name")
    known = NETWORKS | ONNX_NETWORKS | TOKEN_NETWORKS
    if name not in known:
        raise WeightsError(f"{place} holds {name!r}, not one of our networks ({', '.join(known)})")
    network_class: type[Network] = getattr(import_module(f".{known[name]}", __package__), name)
    return network_class.from_pretrained(place, **kwargs)
