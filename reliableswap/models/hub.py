"""Loading a network without knowing its class: config.json names it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from huggingface_hub.errors import HFValidationError

from reliableswap.errors import WeightsError
from reliableswap.models import NETWORKS

from .base import Network, explain_loading

_WHERE = ("cache_dir", "force_download", "local_files_only", "revision", "token", "proxies")


def load_network(
    folder_or_repo: str | os.PathLike[str], subfolder: str | None = None, **kwargs: Any
) -> Network:
    """Load whichever of our networks the folder or Hub repository holds; kwargs as for from_pretrained."""
    place = str(folder_or_repo)
    where = {key: kwargs[key] for key in _WHERE if key in kwargs}
    if subfolder is not None:
        kwargs["subfolder"] = where["subfolder"] = subfolder
    try:
        config = Network.load_config(place, **where)
    except (OSError, HFValidationError) as error:
        raise WeightsError(explain_loading("network", place, where, error)) from error
    name = config.get("_class_name")
    if name not in NETWORKS:
        raise WeightsError(f"{place} holds {name!r}, not one of our networks ({', '.join(NETWORKS)})")
    network_class: type[Network] = getattr(import_module(f".{NETWORKS[name]}", __package__), name)
    return network_class.from_pretrained(place, **kwargs)
