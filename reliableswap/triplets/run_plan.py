"""The plan of a run, made before its shards: memory-mapped files, of which a process reads only the rows it needs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.data.aligned import AlignedFace
from reliableswap.data.mapped import MappedRows
from reliableswap.data.photo_list import PhotoList
from reliableswap.data.storage import local_copy
from reliableswap.errors import ReliableSwapError

from .pairing import Members, Pairing
from .records import MEASURES, stored_face
from .settings import TripletSettings

FACE = np.dtype(
    [
        *((name, "<f8") for name in MEASURES),
        ("light", "<f8", (3,)),
        ("quality", "<f8"),
        ("hash", "<u8", (4,)),
        ("place", "<i4", (2,)),
        ("why", "u1"),
    ]
)


@dataclass(frozen=True)
class RunPlan:
    """The plan `key` in a folder, written by Planner. cache: the folder of the photos' records.

    photos.arrow lists the photos. faces (N,) of type FACE: the measures of each photo's face, `place` (number and row
    of the array with its crop) and `why` (index of the reason for dropping it, or 0). vectors (N,D): the identity of
    each face, if there is an encoder. For each split, the arrays of Members.
    """

    folder: Path
    key: str
    cache: Path

    @property
    def marker(self) -> Path:
        """The JSON file of everything but the arrays. It is written last, so it exists only if the plan is complete."""
        return self.folder / f"plan-{self.key}.json"

    def array(self, name: str) -> Path:
        return self.folder / f"{name}-{self.key}.npy"

    @cached_property
    def photos(self) -> PhotoList:
        return PhotoList.open(self.folder / "photos.arrow")

    @cached_property
    def faces(self) -> np.ndarray:
        return self._load("faces")

    @cached_property
    def vectors(self) -> np.ndarray | None:
        return self._load("vectors") if self.about["vectors"] else None

    @property
    def slots(self) -> dict[str, int]:
        """Number of pairs to make by split."""
        return dict(self.about["slots"])

    @property
    def members(self) -> dict[str, int]:
        """Number of photos to pair by split."""
        return dict(self.about["members"])

    @property
    def dropped(self) -> Counter[str]:
        """Number of unused photos by reason."""
        return Counter(self.about["dropped"])

    def people(self) -> list[str]:
        """Return the names of the people with usable photos."""
        used = np.unique(self.photos.person[self.faces["why"] == 0])
        return list(self.photos.people.take(used).to_pylist())

    def face(self, i: int) -> AlignedFace:
        """The padded crop of photo i with its mesh and covers."""
        if self.faces[i]["place"][0] < 0:
            raise ReliableSwapError(f"{self.photos[i].name} has no face, so no crop is stored for it")
        return stored_face(self._entries[i])

    def pairing(self, split: str, settings: TripletSettings) -> Pairing:
        """The pairs of a split."""
        parts = (self._load(f"{split}-{part}") for part in ("photos", "by-person", "first"))
        return Pairing(settings, split, Members(*parts), self.vectors)

    @cached_property
    def about(self) -> dict[str, Any]:
        return dict(json.loads(self.marker.read_text()))

    @cached_property
    def _entries(self) -> MappedRows:
        return MappedRows([self.cache / name for name in self.about["arrays"]], self.faces["place"])

    def _load(self, name: str) -> np.ndarray:
        return np.asarray(np.load(local_copy(self.array(name)), mmap_mode="r"))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the mapped files: another process maps its own."""
        return {"folder": self.folder, "key": self.key, "cache": self.cache}
