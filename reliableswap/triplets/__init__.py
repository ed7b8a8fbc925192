"""Photos to training shards: real photos in, cycle triplets out. Public names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_HOMES = {
    "TripletSettings": "settings",
    "make_triplets": "factory",
    "TripletDataset": "dataset",
    "Mix": "dataset",
    "Augmentation": "augment",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from .augment import Augmentation as Augmentation
    from .dataset import Mix as Mix
    from .dataset import TripletDataset as TripletDataset
    from .factory import make_triplets as make_triplets
    from .settings import TripletSettings as TripletSettings


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
