"""The faces of a training sample -> tensors for a batch, which complete.py turns into the networks' inputs.

This is the part that one CPU core does for each sample: pictures stay uint8, and changes are drawn but not applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import default_collate

from reliableswap.geometry import regions
from reliableswap.geometry.raster import shown_triangles
from reliableswap.geometry.trust import hidden_points
from reliableswap.imaging.light import Light
from reliableswap.imaging.overlay import Overlay
from reliableswap.swap.guidance_torch import OVAL, target_regions

from .aligned import AlignedFace
from .augment import Jitter
from .mix import KINDS
from .stored_covers import GLASSES, SIDE, find_cover_planes, find_glasses_mask, to_plane

FACE = 8  # bit of `places`, beside those of guidance_torch: the face of the target or of the truth
# Kinds whose identity comes from the source, with its glasses, and not from the truth.
SOURCE_IDENTITY_KINDS = ("vanilla", "naive")

# What only some samples have. A batch holds it for these samples only, and NAME_rows lists them.
OPTIONAL = (
    "light",
    "source_light",
    "worn",
    "target_hidden",
    "keep_source_glasses",
    "front",
    "before_source",
    "kept",
    "stained",
    "softened",
    "painted",
)


@dataclass(frozen=True, eq=False)
class Change:
    """How a picture is changed: its colours, its light, and what is pasted in front."""

    jitter: Jitter = Jitter(1, 1, 1, 0)
    light: Light | None = None
    overlay: Overlay | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """The faces of one training sample; truth is None where there is no ground truth.

    change: of target and truth alike; source_change: of the source.
    """

    kind: str
    target: AlignedFace
    source: AlignedFace
    truth: AlignedFace | None
    change: Change = Change()
    source_change: Change = Change()


def sample_tensors(
    sample: Sample, guidance: bool = True, glasses: bool = True, covers: bool = False
) -> dict[str, Tensor]:
    """Return the tensors of one sample, for `collate`. Without `guidance`, the source's covers are not looked for.

    Without both guidance and glasses there are no pixels, triangles, source_mesh, source_covers, worn, target_hidden
    and keep_source_glasses, and places has only OVAL and FACE: the rest takes most of a sample's time.

    target, source, truth (S,S,3) uint8, truth zero if there is none
    colours (2,3,4): Jitter.map of target and truth, and of the source
    pixels (N,) int32 that the target's mesh covers, triangles (N,) int16 that they show
    places (S,S) uint8: the bits of target_regions, and FACE
    mesh, source_mesh (468,3); hidden_points (468,) of the source, with guidance only
    source_covers (3,128,128) uint8 of the source, as in stored_covers.py
    kind, has_truth as in TripletDataset
    light, source_light (10,): Light.numbers of target and truth, and of the source, if there is any
    worn (128,128) uint8: the target's glasses, if it wears some; keep_source_glasses: 1 if the source's glasses count
    target_hidden (128,128) uint8, with `covers` and without truth only: what hides the target's face, if anything does
    front, before_source (5,S,S) float16: Overlay.planes of what is in front of target and truth, and of the source
    """
    source, target, truth = sample.source, sample.target, sample.truth
    size = target.crop.shape[0]
    whole = guidance or glasses
    places = target_regions(target.mesh, size) if whole else _oval(target.mesh, size)
    face = places & OVAL
    if truth is not None:
        face |= regions.union([regions.outline(truth.mesh)], (size, size))
    places |= FACE * face
    changes = (sample.change, sample.source_change)
    result = {
        "target": target.crop,
        "source": source.crop,
        "truth": np.zeros_like(target.crop) if truth is None else truth.crop,
        "colours": np.stack([one.jitter.map() for one in changes]).astype(np.float32),
        "places": places,
        "mesh": target.mesh.astype(np.float32),
    }
    if whole:
        result |= _warp_inputs(sample, guidance) | _target_covers(target, covers and truth is None)
    for change, light, overlay in zip(
        changes, ("light", "source_light"), ("front", "before_source"), strict=True
    ):
        if change.light is not None:
            result[light] = change.light.numbers().astype(np.float32)
        if change.overlay is not None:
            result[overlay] = change.overlay.planes()
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in result.items()}
    if sample.kind in SOURCE_IDENTITY_KINDS and whole and result["source_covers"][GLASSES].any():
        tensors["keep_source_glasses"] = torch.tensor(1.0)
    tensors["has_truth"] = torch.tensor(float(truth is not None))
    tensors["kind"] = torch.tensor(KINDS.index(sample.kind))
    return tensors


def collate(samples: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Make a batch of samples, with the rows of what only some have, and the rows that have a truth.

    Lists of pixels are padded to equal length with index S*S and triangle -1.
    """
    lists = {"pixels": samples[0]["places"].numel(), "triangles": -1} if "pixels" in samples[0] else {}
    some = {*OPTIONAL, *lists}
    batch: dict[str, Tensor] = default_collate(
        [{k: v for k, v in one.items() if k not in some} for one in samples]
    )
    for name, none in lists.items():
        batch[name] = pad_sequence([one[name] for one in samples], True, none)
    for name in OPTIONAL:
        rows = [number for number, one in enumerate(samples) if name in one]
        if rows:
            batch[name] = default_collate([samples[number][name] for number in rows])
            batch[f"{name}_rows"] = torch.tensor(rows)
    batch["truth_rows"] = batch["has_truth"].nonzero()[:, 0]
    return batch


def _warp_inputs(sample: Sample, guidance: bool) -> dict[str, np.ndarray]:
    """What guidance and glasses are made from, named as in sample_tensors."""
    source, target = sample.source, sample.target
    size = target.crop.shape[0]
    triangles = shown_triangles(target.mesh, (size, size)).ravel()
    pixels = np.flatnonzero(triangles >= 0)
    result = {
        "pixels": pixels.astype(np.int32),
        "triangles": triangles.take(pixels),
        "source_mesh": source.mesh.astype(np.float32),
        "source_covers": _source_covers(source, guidance),
    }
    if guidance:
        result["hidden_points"] = hidden_points(source.mesh).astype(np.float32)
    return result


def _oval(mesh: np.ndarray, size: int) -> np.ndarray:
    """(S,S) uint8 as `target_regions` returns it, with only OVAL drawn."""
    return np.asarray(OVAL * regions.union([regions.outline(mesh)], (size, size)), np.uint8)


def _target_covers(face: AlignedFace, hidden: bool) -> dict[str, np.ndarray]:
    """Return `worn` and, if wanted, `target_hidden` of a target, each only if the plane is not empty."""
    stored = face.stored_covers
    if hidden:
        planes = stored.planes() if stored is not None else find_cover_planes([face])[0]
        found = {"worn": planes[GLASSES], "target_hidden": planes[0]}
    elif stored is None:
        found = {"worn": to_plane(find_glasses_mask(face))}
    else:
        found = {"worn": stored.planes()[GLASSES]} if stored.wears_glasses else {}
    return {name: plane for name, plane in found.items() if plane.any()}


def _source_covers(face: AlignedFace, guidance: bool) -> np.ndarray:
    """(3,128,128) uint8 `source_covers`; without guidance only its glasses are looked for."""
    if face.stored_covers is not None:
        return face.stored_covers.planes()
    if guidance:
        return find_cover_planes([face])[0]
    return np.stack([np.zeros((SIDE, SIDE), np.uint8)] * 2 + [to_plane(find_glasses_mask(face))])
