"""The faces of a training sample -> tensors. The only module in data/ that knows how a swap uses them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.parts import bundled_visibility, find_parts
from reliableswap.faces.visibility import find_covers, find_glasses
from reliableswap.geometry import regions
from reliableswap.swap.guidance import carried_glasses, guidance_texture

from .aligned import AlignedFace
from .mix import KINDS, PHOTO_TRUTH


@dataclass(frozen=True, eq=False)
class Sample:
    """The faces of one training sample; truth is None where there is no ground truth.

    front: (S,S) in 0..1, what was pasted in front of target and truth. who: the face whose identity is wanted, without
    what was pasted on it; None: as `wanted` says.
    """

    kind: str
    target: AlignedFace
    source: AlignedFace
    truth: AlignedFace | None
    front: np.ndarray | None = None
    who: AlignedFace | None = None


def wanted(kind: str, source: AlignedFace, truth: AlignedFace | None) -> AlignedFace:
    """The face whose identity is wanted: a truth that is a real photo, else the source.

    A surrogate source keeps traces of the other person.
    """
    return truth if truth is not None and kind in PHOTO_TRUTH else source


def sample_tensors(sample: Sample, guidance: bool = True) -> dict[str, Tensor]:
    """The sample as TripletDataset describes it; without `guidance` that is zero, which saves half of the time."""
    source, target, truth = sample.source, sample.target, sample.truth
    side = target.crop.shape[:2]
    mask = regions.oval(target.mesh, side)
    if truth is not None:
        mask = np.maximum(mask, regions.oval(truth.mesh, side))
    front = np.zeros(side, np.float32) if sample.front is None else sample.front
    who = sample.who or wanted(sample.kind, source, truth)
    return {
        "target": to_tensor(target.crop),
        "source": to_tensor(source.crop),
        "who": to_tensor(who.crop),
        "guidance": _guidance(sample) if guidance else torch.zeros(4, *side),
        "truth": torch.zeros(3, *side) if truth is None else to_tensor(truth.crop),
        "has_truth": torch.tensor(float(truth is not None)),
        "face_mask": torch.from_numpy(mask * (1 - front))[None],
        "front": torch.from_numpy(front)[None],
        "glasses": _glasses(sample),
        "mesh": torch.from_numpy(target.mesh.astype(np.float32)),
        "kind": torch.tensor(KINDS.index(sample.kind)),
    }


def _guidance(sample: Sample) -> Tensor:
    """(4,S,S) the source's texture on the target's mesh, and its validity."""
    source, target = sample.source, sample.target
    parts = find_parts(source.crop, source.mesh, bundled_visibility())
    covers = find_covers(source.crop, source.mesh, bundled_glasses(), strict=True, parts=parts)
    texture, validity = guidance_texture(source.crop, source.mesh, target.crop, target.mesh, covers)
    return torch.cat([to_tensor(texture), torch.from_numpy(validity)[None]])


def _glasses(sample: Sample) -> Tensor:
    """(4,S,S) what lies in front of the generated face, glasses and pasted things, and how opaque it is."""
    target, source = sample.target, sample.source
    shape = target.crop.shape[:2]
    picture, worn = target.crop, find_glasses(target.crop, target.mesh, bundled_glasses())
    if sample.kind in ("vanilla", "naive"):  # in the others a real photo without glasses gives the identity
        carried, theirs = carried_glasses(source.crop, source.mesh, target.mesh, shape, bundled_glasses())
        picture = np.where((theirs > worn)[..., None], carried, picture)
        worn = np.maximum(worn, theirs)
    if sample.front is not None:
        picture = np.where((sample.front > worn)[..., None], target.crop, picture)
        worn = np.maximum(worn, sample.front)
    return torch.cat([to_tensor(picture), torch.from_numpy(worn)[None]])


def to_tensor(picture: np.ndarray) -> Tensor:
    """(H,W,3) uint8 -> (3,H,W) float32 in [-1,1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float().div_(127.5).sub_(1.0)
