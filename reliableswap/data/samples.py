"""The faces of a training sample -> what a batch of them is made of. complete.py makes the networks' inputs of it.

Here is what one core does for each sample: pictures stay bytes, and what changes them is drawn, not applied.
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
from .seen import GLASSES, SIDE, look_at, to_plane, worn_by

FACE = 8  # bit of `places`, beside those of guidance_torch: the face of the target or of the truth
CARRYING = ("vanilla", "naive")  # in the others a real photo without glasses gives the identity

NO_LIGHT = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 0], np.float64)  # numbers of a Light that changes nothing

# What only some samples have. A batch holds it for these, and NAME_rows says which they are.
SOME = ("worn", "carries", "front", "before_source", "kept", "stained", "softened", "painted")


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


def sample_tensors(sample: Sample, guidance: bool = True) -> dict[str, Tensor]:
    """The tensors of one sample, for `collate`; without `guidance` it is not looked for what covers the source.

    target, source, truth (S,S,3) uint8, truth zero if there is none
    colours (2,3,4), light (2,10): Jitter.map and Light.numbers of target and truth, and of the source
    pixels (N,) int32 that the target's mesh covers, triangles (N,) int16 that they show
    places (S,S) uint8 of target_regions, and FACE
    mesh, source_mesh (468,3); hidden_points (468,) of the source, with guidance only
    seen (128,128,3) uint8 of the source, as seen.py has it
    kind, has_truth as TripletDataset has them
    worn (128,128) uint8: the target's glasses, if it wears some; carries: 1 if the source's glasses count
    front, before_source (5,S,S) float16: Overlay.planes of what is before target and truth, and before the source
    """
    source, target, truth = sample.source, sample.target, sample.truth
    size = target.crop.shape[0]
    places = target_regions(target.mesh, size)
    face = places & OVAL
    if truth is not None:
        face |= regions.union([regions.outline(truth.mesh)], (size, size))
    places |= FACE * face
    worn = to_plane(worn_by(target)) if target.seen is None else target.seen[..., GLASSES]
    seen = _seen(source, guidance)
    triangles = shown_triangles(target.mesh, (size, size)).ravel()
    pixels = np.flatnonzero(triangles >= 0)
    changes = (sample.change, sample.source_change)
    result = {
        "target": target.crop,
        "source": source.crop,
        "truth": np.zeros_like(target.crop) if truth is None else truth.crop,
        "colours": np.stack([one.jitter.map() for one in changes]).astype(np.float32),
        "light": np.stack([one.light.numbers() if one.light else NO_LIGHT for one in changes]).astype(
            np.float32
        ),
        "pixels": pixels.astype(np.int32),
        "triangles": triangles.take(pixels),
        "places": places,
        "mesh": target.mesh.astype(np.float32),
        "source_mesh": source.mesh.astype(np.float32),
        "seen": seen,
    }
    if guidance:
        result["hidden_points"] = hidden_points(source.mesh).astype(np.float32)
    if worn.any():
        result["worn"] = np.ascontiguousarray(worn)
    for name, change in zip(("front", "before_source"), changes, strict=True):
        if change.overlay is not None:
            result[name] = change.overlay.planes()
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in result.items()}
    if sample.kind in CARRYING and seen[..., GLASSES].any():
        tensors["carries"] = torch.tensor(1.0)
    tensors["has_truth"] = torch.tensor(float(truth is not None))
    tensors["kind"] = torch.tensor(KINDS.index(sample.kind))
    return tensors


def collate(samples: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """A batch of samples, with the rows of what only some have, and the rows that have a truth.

    Lists of pixels are made equally long; index S*S and triangle -1 stand for none.
    """
    some = {*SOME, "pixels", "triangles"}
    batch: dict[str, Tensor] = default_collate(
        [{k: v for k, v in one.items() if k not in some} for one in samples]
    )
    none = samples[0]["places"].numel()
    batch["pixels"] = pad_sequence([one["pixels"] for one in samples], True, none)
    batch["triangles"] = pad_sequence([one["triangles"] for one in samples], True, -1)
    for name in SOME:
        rows = [number for number, one in enumerate(samples) if name in one]
        if rows:
            batch[name] = default_collate([samples[number][name] for number in rows])
            batch[f"{name}_rows"] = torch.tensor(rows)
    batch["truth_rows"] = batch["has_truth"].nonzero()[:, 0]
    return batch


def _seen(face: AlignedFace, guidance: bool) -> np.ndarray:
    """(128,128,3) uint8 what the source shows; without guidance only its glasses count."""
    if face.seen is not None:
        return face.seen
    if guidance:
        return look_at([face])[0]
    seen = np.zeros((SIDE, SIDE, 3), np.uint8)
    seen[..., GLASSES] = to_plane(worn_by(face))
    return seen
