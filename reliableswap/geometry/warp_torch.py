"""Warp textures of a batch from their own meshes onto others: the twin of warp.py and trust.py in PyTorch.

A mesh is rasterised on the CPU (`raster.shown_triangles`). The work per pixel is done here, on the batch's device, on
lists of N covered pixels: flat indices (B,N), and triangles (B,N) with -1 where a sample has fewer pixels. Meshes are
(B,468,3) in pixels of square pictures, source and target of one size. Sums are in double precision: in single precision
their last digits would depend on the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .measures_torch import precise
from .topology import topology
from .trust import MIN_AREA, STRETCH_LIMITS, inside_lips, rigid_triangles, surroundings
from .warp import FULLY_VALID, LIP_PULL

_LIP_PAIRS = ((13, 82, 312), (14, 87, 317))  # upper and lower, as in regions.mouth_opening


@dataclass(frozen=True, eq=False)
class Warped:
    """For N pixels: image (B,3,1,N) in 0..255; validity and skin (B,1,1,N) in 0..1, as in warp.Texture; covered
    (B,1,1,N), 1 for pixels of the mesh and 0 for padding."""

    image: Tensor
    validity: Tensor
    skin: Tensor
    covered: Tensor


def warp(
    source: Tensor,
    source_mesh: Tensor,
    target_mesh: Tensor,
    pixels: Tensor,
    triangles: Tensor,
    seen: Tensor,
    hidden: Tensor,
) -> Warped:
    """Warp the texture of source (B,3,S,S) in 0..255 onto the target's mesh, bicubically.

    seen: (B,2,h,w) in 0..1, for a copy of the source at any size: where something covers its face and where its skin is
    bare. hidden: (B,468), `trust.hidden_points` of the source.
    """
    size = source.shape[-1]
    top = _constants(source.device)
    source_mesh = open_lips(source_mesh, target_mesh)
    own_trust, other_trust = _trust(source_mesh, target_mesh, hidden)
    flat = _to_unit(source_mesh, size)
    values = torch.cat([flat, flat[:, top.mirror], own_trust[..., None], other_trust[..., None]], 2)
    found = interpolate(values, target_mesh, pixels, triangles, size)
    covered = (triangles >= 0).to(found.dtype)[:, None, None]
    places = (
        found[..., :4].unflatten(2, (2, 2)).transpose(1, 2)
    )  # (B,2,N,2): of the face and of its other half
    images = read(source, places, "bicubic", "border").clamp(0, 255)
    covers = read(seen, places, "bilinear", "zeros")
    shown = found[..., 4:].mT.clamp(min=0)[:, None] * (1 - covers[:, :1]) * covered
    first, second = shown.split(1, 2)
    # A face that shows nearly all of itself takes nothing from its other half.
    lacking = ((first < FULLY_VALID) * covered).sum(3, keepdim=True) > 0.01 * covered.sum(3, keepdim=True)
    second = second * lacking
    validity = first + second * (1 - first)
    share = torch.where(lacking, first / validity.clamp(min=1e-6), 1.0)
    image, skin = (one[:, :, 1:].lerp(one[:, :, :1], share) for one in (images, covers[:, 1:]))
    return Warped(image, validity, skin * covered, covered)


def read_places(
    source_mesh: Tensor, target_mesh: Tensor, pixels: Tensor, triangles: Tensor, size: int
) -> Tensor:
    """(B,1,N,2) where each pixel is sampled in the source, in [-1,1] as for `read`."""
    return interpolate(_to_unit(source_mesh, size), target_mesh, pixels, triangles, size)[:, None]


def _to_unit(mesh: Tensor, size: int) -> Tensor:
    """(B,468,2) in pixels -> in [-1,1], between the outer edges of a picture's pixels."""
    return (mesh[..., :2] + 0.5) * (2.0 / size) - 1


def read(pictures: Tensor, places: Tensor, kernel: str, border: str) -> Tensor:
    """(B,C,h,w) read at places (B,H,W,2) in [-1,1], where -1 and 1 are the outer edges of its pixels."""
    return F.grid_sample(pictures, places, kernel, border, align_corners=False)


def take(planes: Tensor, pixels: Tensor) -> Tensor:
    """(B,C,S,S) at pixels (B,N) -> (B,C,1,N)."""
    index = pixels.long().clamp(max=planes.shape[-1] ** 2 - 1)[:, None].expand(-1, planes.shape[1], -1)
    return planes.flatten(2).gather(2, index)[:, :, None]


def put(values: Tensor, pixels: Tensor, size: int) -> Tensor:
    """(B,C,1,N) -> (B,C,S,S) with these values at pixels (B,N), and zero elsewhere; index S*S is dropped."""
    count, channels = values.shape[:2]
    planes = values.new_zeros(count, channels, size * size + 1)
    planes.scatter_(2, pixels.long()[:, None].expand(-1, channels, -1), values[:, :, 0])
    return planes[:, :, :-1].unflatten(2, (size, size))


def interpolate(values: Tensor, mesh: Tensor, pixels: Tensor, triangles: Tensor, size: int) -> Tensor:
    """(B,468,C) values of the mesh's points -> (B,N,C) of the pixels."""
    count, channels = triangles.shape[0], values.shape[2]
    top = _constants(values.device)
    a, b, c = (mesh[:, corner, :2] for corner in top.corners)
    second, third = _inverse(b - a, c - a)  # (B,T,2) each
    start, *others = (values[:, corner] for corner in top.corners)
    b, c = (other - start for other in others)
    slopes = [b * second[..., k : k + 1] + c * third[..., k : k + 1] for k in range(2)]
    # Relative to the first corner: otherwise float32 would lose the precision that thin triangles need.
    table = torch.cat([a, start, *slopes], 2)
    offsets = torch.arange(count, device=values.device)[:, None] * table.shape[1]
    rows = table.flatten(0, 1).index_select(0, (triangles.long().clamp(min=0) + offsets).flatten())
    corner, start, across, down = rows.view(count, -1, 2 + 3 * channels).split([2, *[channels] * 3], 2)
    x, y = (pixels % size)[..., None] - corner[..., :1], (pixels // size)[..., None] - corner[..., 1:]
    return start.addcmul(across, x).addcmul_(down, y)


def _inverse(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Sides (B,T,2) twice -> (B,T,2) twice: their products with a position relative to the first corner are the weights
    of the second and the third. In thin triangles only the first corner counts."""
    det = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    k = torch.where(det.abs() < MIN_AREA, 0.0, 1 / det)
    second = torch.stack([v[..., 1] * k, -v[..., 0] * k], -1)
    third = torch.stack([-u[..., 1] * k, u[..., 0] * k], -1)
    return second, third


def open_lips(source_mesh: Tensor, target_mesh: Tensor) -> Tensor:
    """(B,468,3), as warp.open_lips."""
    top = _constants(source_mesh.device)
    surplus = _mouth_opening(source_mesh) - _mouth_opening(target_mesh)
    share = LIP_PULL * (surplus / 0.1).clamp(0, 1)
    pull = (source_mesh[:, top.ring] - source_mesh[:, top.inside]) * share[:, None, None]
    return source_mesh.index_add(1, top.inside, pull)


def _mouth_opening(mesh: Tensor) -> Tensor:
    """(B,), as regions.mouth_opening."""
    top = _constants(mesh.device)
    down = F.normalize(mesh[:, 152, :2] - mesh[:, 9, :2], dim=1, eps=1e-6)
    gaps = mesh[:, top.lips[1], :2] - mesh[:, top.lips[0], :2]
    gap = (gaps * down[:, None]).sum(2).amax(1).clamp(min=0)
    return gap / (mesh[:, 78] - mesh[:, 308]).norm(dim=1).clamp(min=1e-6)


def scale_between(source_mesh: Tensor, target_mesh: Tensor) -> Tensor:
    """(B,), as trust.scale_between."""
    both = (mesh.to(precise(mesh.device)) for mesh in (source_mesh, target_mesh))
    source, target = ((m - m.mean(1, keepdim=True)).square().sum((1, 2)) for m in both)
    return (source / target.clamp(min=1e-12)).sqrt().float()


def _trust(source_mesh: Tensor, target_mesh: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """(B,468), (B,468), as trust.trust."""
    top = _constants(source_mesh.device)
    scale = scale_between(source_mesh, target_mesh)[:, None]
    u, v = _sides(target_mesh)
    area = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    k = 1 / torch.where(area > MIN_AREA, area, 1.0)
    across, down = (
        torch.stack([v[..., 1] * k, -v[..., 0] * k], -1),
        torch.stack([-u[..., 1] * k, u[..., 0] * k], -1),
    )
    weight = torch.where(area > MIN_AREA, area.clamp(min=1e-6), 0.0) * top.rigid
    mass = weight @ top.incidence
    low, high = STRETCH_LIMITS
    values = []
    for mesh, side in ((source_mesh, 1.0), (source_mesh[:, top.mirror], -1.0)):
        p, q = _sides(mesh)
        # A mirrored mesh is wound the wrong way round.
        a, b = (side * (p[..., :1] * across + q[..., :1] * down)).unbind(-1)
        c, d = (p[..., 1:] * across + q[..., 1:] * down).unbind(-1)
        # The smaller singular value of [[a, b], [c, d]], signed by the determinant.
        narrowest = 0.5 * (torch.hypot(a + d, b - c) - torch.hypot(a - d, b + c))
        share = ((narrowest / scale - low) / (high - low)).clamp(0, 1)
        mean = torch.where(mass > 0, (share * weight) @ top.incidence / mass.clamp(min=1e-12), 1.0)
        away = hidden if side > 0 else hidden[:, top.mirror]
        value = (mean @ top.surroundings).float().clamp(0, 1) * (1 - away)
        values.append(value * value * (3 - 2 * value))
    return values[0], values[1]


def _sides(mesh: Tensor) -> tuple[Tensor, Tensor]:
    """(B,T,2), (B,T,2) the vectors from each triangle's first corner to its second and third."""
    a, b, c = (mesh[:, corner, :2] for corner in _constants(mesh.device).corners)
    return b - a, c - a


@dataclass(frozen=True, eq=False)
class _Constants:
    """The topology as tensors. incidence: (T,468) one where a point is a corner of a triangle."""

    corners: Tensor
    mirror: Tensor
    rigid: Tensor
    incidence: Tensor
    surroundings: Tensor
    inside: Tensor
    ring: Tensor
    lips: Tensor


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> _Constants:
    """Cached per device: a copy to the device makes the program wait for it."""
    top = topology()
    incidence = np.zeros((len(top.triangles), len(top.canonical)))
    for corner in top.corners:
        incidence[np.arange(len(corner)), corner] = 1
    inside, ring = inside_lips()

    def on_device(array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.to(device, precise(device) if tensor.is_floating_point() else None)

    return _Constants(
        on_device(top.corners),
        on_device(top.mirror),
        on_device(rigid_triangles().astype(np.float64)),
        on_device(incidence),
        on_device(surroundings().T),
        on_device(inside),
        on_device(ring),
        on_device(np.array(_LIP_PAIRS)),
    )
