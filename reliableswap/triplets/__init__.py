"""Photos to training shards: real photos in, cycle triplets out. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, globals(), _HOMES)
