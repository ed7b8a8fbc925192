"""Guidance for a batch: the twin of guidance.py in PyTorch, for training, with textures read by cubics as for clips."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.geometry import regions
from reliableswap.geometry.warp_torch import Warped
from reliableswap.imaging import colour_torch as colour
from reliableswap.models.layers import INVALID

from .guidance import EYE_OPENING, FADE, LEAST_VALID, LIGHT_REACH

OVAL, SKIN, OWN = 1, 2, 4  # bits of `target_regions`
CELLS = 32  # per side of a crop, in which local means are worked out
_FINE = 128  # side of the copy that the outline's blur is worked out on, or up to twice that


def target_regions(mesh: np.ndarray, size: int) -> np.ndarray:
    """(S,S) uint8 what guidance needs to know of a target with that mesh, one bit each: the face, its skin, and where
    the picture is always the target's."""
    shape = (size, size)
    own = np.maximum(regions.eyes(mesh, shape, EYE_OPENING), regions.inner_mouth(mesh, shape))
    planes = ((OVAL, regions.oval(mesh, shape)), (SKIN, regions.skin(mesh, shape)), (OWN, own))
    return np.asarray(sum(np.uint8(bit) * plane.astype(np.uint8) for bit, plane in planes))


def window(triangles: np.ndarray) -> tuple[int, int, int, int]:
    """Rows and columns, each from and to, of a piece of a crop that holds a mesh, by its `shown_triangles` (S,S)."""
    size = triangles.shape[0]
    cell = size // CELLS
    there = triangles >= 0
    ends = []
    for axis in (1, 0):
        found = np.flatnonzero(there.any(axis))
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, size - 1)
        ends += [max(0, (first // cell - 1) * cell), min(size, (last // cell + 2) * cell)]
    return ends[0], ends[1], ends[2], ends[3]


def guidance_textures(
    texture: Warped, target: Tensor, target_mesh: Tensor, places: Tensor, size: int
) -> Tensor:
    """(B,4,H,W) textures (B,3,H,W) in 0..255 in the light of targets of the same kind, and their validity in 0..1.

    places: (B,H,W) of `target_regions`. All may be a piece of the crop, whose side is `size`, as `window` gives it.
    """
    width = (target_mesh[:, 234] - target_mesh[:, 454]).norm(dim=1)
    skin, own = ((places & bit).ne(0).float()[:, None] for bit in (SKIN, OWN))
    seen = texture.bare * (texture.validity > 0.9) * skin
    base = colour.to_lab(target)
    lab = colour.match(colour.to_lab(texture.image), base, seen)
    toned = colour.to_rgb(colour.match_light(lab, base, seen, LIGHT_REACH * width, size // CELLS))
    shown = (own < 0.5) & (texture.validity > LEAST_VALID)
    oval = (places & OVAL).ne(0).float()[:, None]
    validity = texture.validity * shown * _fading_outwards(oval, width, max(1, size // _FINE))
    return torch.cat([toned * shown, validity], 1)


def _fading_outwards(oval: Tensor, width: Tensor, k: int) -> Tensor:
    """(B,1,H,W), as in guidance.py, of faces (B,1,H,W) and their widths (B,), worked out at a k-th of the size."""
    small = F.avg_pool2d(oval, k)
    sigma = ((FADE * width / k).square() - (0.25 if k > 1 else 0)).clamp(min=0.01).sqrt()
    soft = colour.blurred(small, sigma)
    soft = F.interpolate(soft, size=oval.shape[2:], mode="bilinear") if k > 1 else soft
    weight = (2 * soft - 1).clamp(float(np.exp(-INVALID)), 1)
    return 1 + weight.log() / INVALID
