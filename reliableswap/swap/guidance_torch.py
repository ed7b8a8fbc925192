"""Guidance for a batch, for training: the twin of guidance.py in PyTorch, with bicubic resampling as in clips."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.geometry import regions
from reliableswap.geometry.warp_torch import Warped, put, take
from reliableswap.imaging import colour_torch as colour
from reliableswap.models.layers import INVALID

from .guidance import EYE_OPENING, FADE, LIGHT_REACH, MIN_VALIDITY

OVAL, SKIN, OWN = 1, 2, 4  # bits of `target_regions`
_FINE = 128  # side, up to twice that, of the copy on which the outline is blurred


def target_regions(mesh: np.ndarray, size: int) -> np.ndarray:
    """(S,S) uint8 flags of the target's regions that guidance needs: OVAL, the face; SKIN, its skin; OWN, where the
    picture is always the target's."""
    shape = (size, size)
    oval = regions.union([regions.outline(mesh)], shape)
    own = regions.union(regions.eye_rings(mesh, EYE_OPENING), shape)
    own |= regions.inner_mouth(mesh, shape).astype(np.uint8)
    bits = OVAL * oval | SKIN * (oval & (1 - regions.marks(mesh, shape))) | OWN * own
    return np.asarray(bits, np.uint8)


def guidance_textures(
    texture: Warped, target: Tensor, target_mesh: Tensor, places: Tensor, pixels: Tensor
) -> Tensor:
    """(B,4,S,S) textures of N pixels in the light of targets (B,3,S,S) in 0..255, and their validity in 0..1.

    places: (B,S,S) from `target_regions`. pixels: (B,N), see warp_torch.
    """
    size = target.shape[-1]
    width = (target_mesh[:, 234] - target_mesh[:, 454]).norm(dim=1)
    bits = take(places[:, None], pixels)
    seen = texture.skin * (texture.validity > 0.9) * (bits & SKIN).ne(0)
    base = colour.to_lab(take(target, pixels))
    lab = colour.match(colour.to_lab(texture.image), base, seen)
    toned = colour.to_rgb(colour.match_light(lab, base, seen, LIGHT_REACH * width, pixels, size))
    shown = (bits & OWN).eq(0) & (texture.validity > MIN_VALIDITY)
    oval = (places & OVAL).ne(0).float()[:, None]
    validity = texture.validity * take(_fading_outwards(oval, width), pixels)
    return put(torch.cat([toned, validity], 1) * shown, pixels, size)


def _fading_outwards(oval: Tensor, width: Tensor) -> Tensor:
    """(B,1,S,S) as in guidance.py, from face masks (B,1,S,S) and face widths (B,)."""
    k = max(1, oval.shape[-1] // _FINE)
    small = F.avg_pool2d(oval, k)
    sigma = ((FADE * width / k).square() - (0.25 if k > 1 else 0)).clamp(min=0.01).sqrt()
    soft = colour.blurred(small, sigma)
    soft = F.interpolate(soft, size=oval.shape[2:], mode="bilinear") if k > 1 else soft
    weight = (2 * soft - 1).clamp(float(np.exp(-INVALID)), 1)
    return 1 + weight.log() / INVALID
