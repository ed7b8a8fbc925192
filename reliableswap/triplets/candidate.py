"""A pair with its two surrogates: a candidate for a row of a shard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reliableswap import __version__
from reliableswap.data.aligned import AlignedFace
from reliableswap.data.cells import encode_mesh, encode_picture
from reliableswap.data.photos import Photo
from reliableswap.data.shards import picture_cell
from reliableswap.data.stored_covers import encode_cover_planes, find_cover_planes

from .filter import Likeness, reason_by_identity
from .pairing import Pair
from .settings import FilterSettings
from .sources import Source
from .surrogates.target import Surrogate

_SYNTHETIC = ("c_ab", "c_ba", "source_a", "source_b")


@dataclass(frozen=True)
class Identities:
    """v_id (D,) of the four faces of a pair."""

    a: np.ndarray
    b: np.ndarray
    ab: np.ndarray
    ba: np.ndarray

    @property
    def of_ab(self) -> Likeness:
        return Likeness(float(self.ab @ self.b), float(self.ab @ self.a))

    @property
    def of_ba(self) -> Likeness:
        return Likeness(float(self.ba @ self.a), float(self.ba @ self.b))

    def reason(self, limits: FilterSettings) -> str | None:
        """Why the pair is dropped, or None."""
        return reason_by_identity(self.of_ab, limits) or reason_by_identity(self.of_ba, limits)

    def columns(self) -> dict[str, Any]:
        ab, ba = self.of_ab, self.of_ba
        return {
            **{f"v_id_{side}": getattr(self, side) for side in ("a", "b", "ab", "ba")},
            "ab_to_b": ab.to_source,
            "ab_to_a": ab.to_target,
            "ba_to_a": ba.to_source,
            "ba_to_b": ba.to_target,
        }


@dataclass(frozen=True, eq=False)
class Candidate:
    """A pair's faces and surrogates, without padding. reason: why it is dropped for its looks, or None."""

    slot: int
    attempt: int
    pair: Pair
    a: AlignedFace
    b: AlignedFace
    ab: Surrogate
    ba: Surrogate
    reason: str | None

    def row(
        self,
        split: str,
        form: str,
        photos: Sequence[Photo],
        quality: np.ndarray,
        others: Mapping[str, AlignedFace],
        identities: Identities | None,
        sources: Mapping[str, Source],
        covers: bool,
    ) -> dict[str, Any]:
        """Return the candidate as a row of a shard.

        photos and quality (N,): of all photos of the run; others: the faces other_a and other_b, if any; sources: the
        source surrogates by side; covers: also store what covers each face.
        """
        pair, name = self.pair, f"{split}-{self.slot:08d}"
        row: dict[str, Any] = {"id": name, "attempt": self.attempt, "version": __version__}
        faces = {"c_a": self.a, "c_b": self.b, "c_ab": self.ab.face, "c_ba": self.ba.face, **others}
        faces |= {f"source_{side}": one.surrogate.face for side, one in sources.items()}
        for key, face in faces.items():
            data = encode_picture(face.crop, form, ai_made=key in _SYNTHETIC)
            row[key] = picture_cell(data, f"{name}-{key}", form)
            row[f"mesh_{key.removeprefix('c_')}"] = encode_mesh(face.mesh)
        planes_of_faces = find_cover_planes(list(faces.values())) if covers else []
        for key, planes in zip(faces, planes_of_faces, strict=bool(planes_of_faces)):
            data = encode_cover_planes(planes)
            row[f"seen_{key.removeprefix('c_')}"] = picture_cell(data, f"{name}-seen-{key}", "png")
        for side, photo, other in (("a", pair.a, pair.other_a), ("b", pair.b, pair.other_b)):
            row[f"photo_{side}"] = photos[photo].name
            row[f"photo_other_{side}"] = None if other is None else photos[other].name
            row[f"identity_{side}"] = photos[photo].identity
            row[f"quality_{side}"] = float(quality[photo])
        for side, surrogate in (("ab", self.ab), ("ba", self.ba)):
            row[f"shown_{side}"] = surrogate.shown
            row[f"settings_{side}"] = json.dumps(surrogate.recipe.to_dict())
            row[f"surrogate_{side}"] = surrogate.made_by
        for side, one in sources.items():
            row[f"source_to_{side}"] = one.similarity
            row[f"settings_source_{side}"] = json.dumps(one.surrogate.recipe.to_dict())
        return row if identities is None else row | identities.columns()
