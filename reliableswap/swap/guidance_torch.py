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
_FINE = 128  # side of the copy that the outline's blur is worked out on, or up to twice that


def target_regions(mesh: np.ndarray, size: int) -> np.ndarray:
    """(S,S) uint8 what guidance needs to know of a target with that mesh, one bit each: the face, its skin, and where
    the picture is always the target's."""
    shape = (size, size)
    own = np.maximum(regions.eyes(mesh, shape, EYE_OPENING), regions.inner_mouth(mesh, shape))
    planes = ((OVAL, regions.oval(mesh, shape)), (SKIN, regions.skin(mesh, shape)), (OWN, own))
    return np.asarray(sum(np.uint8(bit) * plane.astype(np.uint8) for bit, plane in planes))


def guidance_textures(texture: Warped, target: Tensor, target_mesh: Tensor, places: Tensor) -> Tensor:
    """(B,4,S,S) textures (B,3,S,S) in 0..255 in the light of targets of the same kind, and their validity in 0..1.

    places: (B,S,S) of `target_regions`.
    """
    width = (target_mesh[:, 234] - target_mesh[:, 454]).norm(dim=1)
    skin, own = ((places & bit).ne(0).float()[:, None] for bit in (SKIN, OWN))
    seen = texture.bare * (texture.validity > 0.9) * skin
    base = colour.to_lab(target)
    lab = colour.match(colour.to_lab(texture.image), base, seen)
    toned = colour.to_rgb(colour.match_light(lab, base, seen, LIGHT_REACH * width))
    shown = (own < 0.5) & (texture.validity > LEAST_VALID)
    oval = (places & OVAL).ne(0).float()[:, None]
    validity = texture.validity * shown * _fading_outwards(oval, width)
    return torch.cat([(toned * shown).clamp(0, 255).round(), validity], 1)


def _fading_outwards(oval: Tensor, width: Tensor) -> Tensor:
    """(B,1,S,S), as in guidance.py, of faces (B,1,S,S) and their widths (B,)."""
    size = oval.shape[-1]
    k = max(1, size // _FINE)
    small = F.avg_pool2d(oval, k)
    sigma = ((FADE * width / k).square() - (0.25 if k > 1 else 0)).clamp(min=0.01).sqrt()
    soft = colour.blurred(small, sigma)
    soft = F.interpolate(soft, size=(size, size), mode="bilinear") if k > 1 else soft
    weight = (2 * soft - 1).clamp(float(np.exp(-INVALID)), 1)
    return 1 + weight.log() / INVALID
