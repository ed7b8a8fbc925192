"""Turn a batch from the workers into the inputs of networks and losses, in PyTorch, on the batch's device.

Nothing here waits for the device, and no sample depends on the others of its batch.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.geometry.warp_torch import put, read, read_places, warp
from reliableswap.swap.guidance_torch import guidance_textures

from .mix import KINDS, PHOTO_TRUTH
from .samples import FACE
from .stored_covers import GLASSES, SIDE

# Opacities at which a strict look begins to count a pasted thing as a cover, and counts it in full, as in by_parts.
_TAKEN_FOR_COVER = 0.25, 0.55
_CPU_CHUNK = 2**16  # mesh pixels that are warped at once on a CPU

Batch = dict[str, Tensor]


@torch.no_grad()
def complete(batch: Batch) -> Batch:
    """Complete a batch of `samples.collate` to what TripletDataset describes."""
    with torch.autocast(batch["target"].device.type, enabled=False):
        return _completed(batch)


def _completed(batch: Batch) -> Batch:
    known = batch["has_truth"][:, None, None, None]
    target, source, truth = (to_float(batch[name]) for name in ("target", "source", "truth"))
    target, truth = (recoloured(one, batch["colours"][:, 0]) for one in (target, truth))
    source = recoloured(source, batch["colours"][:, 1])
    photo = truth_is_photo(batch["kind"])[:, None, None, None] & (known > 0)
    identity_face = torch.where(photo, truth, source)
    if "light" in batch:
        target, truth = (_lit(one, batch, "light") for one in (target, truth))
    if "source_light" in batch:
        source = _lit(source, batch, "source_light")
    front = torch.zeros_like(target[:, :1])
    if "front" in batch:
        target, truth = (with_overlays(one, batch, "front") for one in (target, truth))
        front = front.index_copy(0, batch["front_rows"], batch["front"][:, 4:].float())
    if "before_source" in batch:
        source = with_overlays(source, batch, "before_source")
    guidance = torch.zeros_like(torch.cat([target, front], 1))
    picture, worn = target, front
    if "source_covers" in batch:
        seen = batch["source_covers"].float() * (1 / 255)
        if "before_source" in batch:
            seen = _with_occluder(seen, batch)
        if "hidden_points" in batch:
            guidance = _guidance(batch, target, source, seen[:, :GLASSES])
        picture, worn = _glasses(batch, target, source, seen[:, GLASSES:], front)
    face = (batch["places"] & FACE).ne(0).float()[:, None]
    return {
        "target": to_unit(target),
        "source": to_unit(source),
        "identity_face": to_unit(identity_face),
        "guidance": guidance,
        "truth": to_unit(truth) * known,
        "has_truth": batch["has_truth"],
        "truth_rows": batch["truth_rows"],
        "face_mask": face * (1 - front),
        "front": front,
        "glasses": torch.cat([to_unit(picture), worn], 1),
        "mesh": batch["mesh"],
        "kind": batch["kind"],
    }


def to_float(pictures: Tensor) -> Tensor:
    """(B,S,S,3) uint8 -> (B,3,S,S) float32 in 0..255."""
    return pictures.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)


def to_unit(pictures: Tensor) -> Tensor:
    """0..255 -> [-1,1]."""
    return (pictures / 127.5).sub_(1)


def recoloured(pictures: Tensor, maps: Tensor) -> Tensor:
    """(B,3,S,S) in 0..255 after linear maps of RGB (B,3,4), rounded to integers, as in augment.Jitter."""
    r, g, b = (pictures[:, k : k + 1] for k in range(3))
    x, y, z, shift = maps[..., None, None].unbind(2)
    return (x * r).addcmul_(y, g).addcmul_(z, b).add_(shift).clamp_(0, 255).round_()


def lit(pictures: Tensor, light: Tensor) -> Tensor:
    """(B,3,S,S) in 0..255 under the light of Light.numbers (B,10), rounded to integers, as in imaging.light."""
    size = pictures.shape[-1]
    place = (torch.arange(size, device=pictures.device, dtype=pictures.dtype) + 0.5) * (2 / size) - 1
    x, y = place[None, None, None, :], place[None, None, :, None]
    numbers = light[:, :, None, None, None]
    field = torch.exp(x * light[:, 0:3, None, None] + y * light[:, 3:6, None, None])
    angle, distance, edge, dark = (numbers[:, k] for k in range(6, 10))
    across = x * angle.cos() + y * angle.sin() - distance
    field = field * (1 - dark * (across / edge + 0.5).clamp(0, 1))
    return field.mul_(pictures).round_().clamp_(0, 255)


def _lit(pictures: Tensor, batch: Batch, name: str) -> Tensor:
    """(B,3,S,S) in 0..255, lit where the batch has a light of that name."""
    rows = batch[f"{name}_rows"]
    return pictures.index_copy(0, rows, lit(pictures.index_select(0, rows), batch[name]))


def with_overlays(pictures: Tensor, batch: Batch, name: str) -> Tensor:
    """(B,3,S,S) in 0..255 behind the batch's overlays of that name, rounded to integers, as in Overlay.over."""
    planes, rows = batch[name].float(), batch[f"{name}_rows"]
    made = pictures.index_select(0, rows) * planes[:, 3:4] + planes[:, :3]
    return pictures.index_copy(0, rows, made.round().clamp(0, 255))


def truth_is_photo(kind: Tensor) -> Tensor:
    """(B,) whether the truth of samples of these kinds is a real photo."""
    return _photo_kinds(kind.device)[kind]


@lru_cache(maxsize=8)
def _photo_kinds(device: torch.device) -> Tensor:
    return torch.tensor([kind in PHOTO_TRUTH for kind in KINDS]).to(device)


def _guidance(batch: Batch, target: Tensor, source: Tensor, seen: Tensor) -> Tensor:
    """(B,4,S,S) the sources' textures on the targets' meshes in [-1,1], and their validity."""
    # On a CPU, warp only as many samples at once as fit its cache.
    fitting = max(1, _CPU_CHUNK // batch["pixels"].shape[1]) if target.device.type == "cpu" else len(target)
    made = []
    for start in range(0, len(target), fitting):
        rows = slice(start, start + fitting)
        mesh, pixels = batch["mesh"][rows], batch["pixels"][rows]
        texture = warp(
            source[rows], batch["source_mesh"][rows], mesh, pixels, batch["triangles"][rows], seen[rows],
            batch["hidden_points"][rows],
        )  # fmt: skip
        made.append(guidance_textures(texture, target[rows], mesh, batch["places"][rows], pixels))
    guidance = torch.cat(made)
    return torch.cat([to_unit(guidance[:, :3]), guidance[:, 3:]], 1)


def _with_occluder(seen: Tensor, batch: Batch) -> Tensor:
    """(B,3,128,128) `seen` of the sources, given what was pasted in front of some of them."""
    rows = batch["before_source_rows"]
    opacity = batch["before_source"][:, 4:].float()
    mode = "area" if opacity.shape[-1] >= SIDE else "bilinear"
    opacity = F.interpolate(opacity, size=(SIDE, SIDE), mode=mode)
    low, high = _TAKEN_FOR_COVER
    cover = F.max_pool2d(((opacity - low) / (high - low)).clamp(0, 1), 3, 1, 1)
    hidden, skin, glasses = seen.index_select(0, rows).split(1, 1)
    left = torch.cat([torch.maximum(hidden, cover), skin * (1 - cover), glasses * (1 - opacity)], 1)
    return seen.index_copy(0, rows, left)


def _glasses(
    batch: Batch, target: Tensor, source: Tensor, theirs: Tensor, front: Tensor
) -> tuple[Tensor, Tensor]:
    """(B,3,S,S), (B,1,S,S) what lies in front of the generated face, and its opacity.

    theirs: (B,1,128,128) the sources' glasses.
    """
    picture, worn = target, torch.zeros_like(front)
    for name in ("worn", "target_hidden"):
        if name in batch:
            rows, planes = batch[f"{name}_rows"], batch[name][:, None].float() * (1 / 255)
            planes = F.interpolate(planes, size=front.shape[2:], mode="bilinear")
            worn = worn.index_copy(0, rows, torch.maximum(worn.index_select(0, rows), planes))
    if "keep_source_glasses" in batch:
        rows = batch["keep_source_glasses_rows"]
        size = target.shape[-1]
        meshes = (
            batch[name].index_select(0, rows) for name in ("source_mesh", "mesh", "pixels", "triangles")
        )
        source_mesh, mesh, pixels, triangles = meshes
        places = read_places(source_mesh, mesh, pixels, triangles, size)
        both = torch.cat(
            [
                read(source.index_select(0, rows), places, "bilinear", "zeros"),
                read(theirs.index_select(0, rows), places, "bilinear", "zeros"),
            ],
            1,
        )
        carried, over = put(both, pixels, size).split([3, 1], 1)
        before = worn.index_select(0, rows)
        shown = torch.where(over > before, carried.round(), picture.index_select(0, rows))
        picture = picture.index_copy(0, rows, shown)
        worn = worn.index_copy(0, rows, torch.maximum(before, over))
    return torch.where(front > worn, target, picture), torch.maximum(worn, front)
