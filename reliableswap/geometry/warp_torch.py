"""Warp textures of a batch from their own meshes onto others: the twin of warp.py and trust.py in PyTorch.

A mesh is rasterised on the CPU (`raster.shown_triangles`). Everything per pixel is done here, on the batch's device.
Meshes are (B,468,3) in pixels of square pictures, source and target of one size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .topology import topology
from .trust import MIN_AREA, STRETCH_LIMITS, inside_lips, rigid_triangles, surroundings
from .warp import ENOUGH, LIP_PULL

_LIP_PAIRS = ((13, 82, 312), (14, 87, 317))  # upper and lower, as in regions.mouth_opening


@dataclass(frozen=True, eq=False)
class Warped:
    """image (B,3,H,W) in 0..255; validity, bare, covered (B,1,H,W) in 0..1, as in warp.Texture; own (B,H,W,2) where in
    the source each pixel is read, in [-1,1] as for grid_sample; covered: 1 where the target's mesh is."""

    image: Tensor
    validity: Tensor
    bare: Tensor
    covered: Tensor
    own: Tensor


def warp(
    source: Tensor,
    source_mesh: Tensor,
    target_mesh: Tensor,
    triangles: Tensor,
    seen: Tensor,
    hidden: Tensor,
    corner: tuple[int, int] = (0, 0),
) -> Warped:
    """The texture of source (B,3,S,S) in 0..255 on the target's mesh, by cubics.

    triangles: (B,H,W) of `raster.shown_triangles`, or a piece of it that begins at `corner`, a row and a column.
    seen: (B,2,h,w) in 0..1 of a copy of the source at any size, where something covers its face and where its skin is
    bare. hidden: (B,468), by `trust.hidden_points` of the source.
    """
    size, height = source.shape[-1], triangles.shape[1]
    top = _constants(source.device)
    source_mesh = open_lips(source_mesh, target_mesh)
    trusted = _trust(source_mesh, target_mesh, hidden)
    flat = _to_unit(source_mesh, size)
    values = torch.cat([flat, trusted[0][..., None], flat[:, top.mirror], trusted[1][..., None]], 2)
    found, covered = interpolate(values, target_mesh, triangles, corner)
    own, other = found[..., 0:2], found[..., 3:5]
    both = torch.cat([own, other], 1)
    images = read(source, both, "bicubic", "border").clamp(0, 255)
    covers = read(seen, both, "bilinear", "zeros")
    shown = found[..., 2::3].clamp(min=0).permute(0, 3, 1, 2)
    first = shown[:, :1] * (1 - covers[:, :1, :height])
    second = shown[:, 1:] * (1 - covers[:, :1, height:])
    # A face that shows nearly all of itself takes nothing from its other half.
    lacking = ((first < ENOUGH) * covered).sum((1, 2, 3), keepdim=True) / covered.sum(
        (1, 2, 3), keepdim=True
    ).clamp(min=1)
    second = second * (lacking > 0.01)
    validity = first + second * (1 - first)
    share = first / validity.clamp(min=1e-6)
    share = torch.where(lacking > 0.01, share, 1.0)
    image = images[:, :, height:].lerp(images[:, :, :height], share)
    bare = covers[:, 1:, height:].lerp(covers[:, 1:, :height], share)
    return Warped(image * covered, validity * covered, bare * covered, covered, own)


def places_in_source(source_mesh: Tensor, target_mesh: Tensor, triangles: Tensor) -> tuple[Tensor, Tensor]:
    """(B,S,S,2), (B,1,S,S) where in the source each pixel is read, and where the target's mesh is, as in Warped."""
    return interpolate(_to_unit(source_mesh, triangles.shape[-1]), target_mesh, triangles)


def _to_unit(mesh: Tensor, size: int) -> Tensor:
    """(B,468,2) in pixels -> in [-1,1], between the outer edges of a picture's pixels."""
    return (mesh[..., :2] + 0.5) * (2.0 / size) - 1


def read(pictures: Tensor, places: Tensor, kernel: str, border: str) -> Tensor:
    """(B,C,h,w) read at places (B,H,W,2) in [-1,1], where -1 and 1 are the outer edges of its pixels."""
    return F.grid_sample(pictures, places, kernel, border, align_corners=False)


def interpolate(
    values: Tensor, mesh: Tensor, triangles: Tensor, corner: tuple[int, int] = (0, 0)
) -> tuple[Tensor, Tensor]:
    """(B,468,C) values of the mesh's points -> (B,H,W,C) of the pixels, and (B,1,H,W) one where there is a triangle.

    Pixels without a triangle have the values of one.
    """
    count, height, width = triangles.shape
    top = _constants(values.device)
    a, b, c = (mesh[:, top.corners[k], :2] for k in range(3))
    inverse = _inverse(b - a, c - a)  # (B,T,2,2)
    first, second, third = (values[:, top.corners[k]] for k in range(3))
    slopes = (second - first)[..., None] * inverse[:, :, None, 0] + (third - first)[..., None] * inverse[
        :, :, None, 1
    ]  # (B,T,C,2)
    # Relative to the first corner: far from it float32 would lose what thin triangles need.
    table = torch.cat([a, first, slopes.flatten(2)], 2)
    ids = triangles.long()
    offsets = torch.arange(count, device=values.device)[:, None, None] * table.shape[1]
    rows = table.flatten(0, 1).index_select(0, (ids.clamp(min=0) + offsets).flatten())
    rows = rows.view(count, height, width, -1)
    across, down = (
        torch.arange(start, start + length, device=values.device, dtype=values.dtype)
        for start, length in ((corner[1], width), (corner[0], height))
    )
    x, y = across[None, None, :] - rows[..., 0], down[None, :, None] - rows[..., 1]
    channels = values.shape[2]
    start, slope = rows[..., 2 : 2 + channels], rows[..., 2 + channels :]
    inside = start + slope[..., 0::2] * x[..., None] + slope[..., 1::2] * y[..., None]
    return inside, (ids >= 0).to(values.dtype)[:, None]


def _inverse(u: Tensor, v: Tensor) -> Tensor:
    """Sides (B,T,2) twice -> (B,T,2,2) rows that give the weights of the second and third corner; thin: 1/3 each is
    left out, the first corner's value holds."""
    det = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    k = torch.where(det.abs() < MIN_AREA, 0.0, 1 / det)
    second = torch.stack([v[..., 1] * k, -v[..., 0] * k], -1)
    third = torch.stack([-u[..., 1] * k, u[..., 0] * k], -1)
    return torch.stack([second, third], -2)


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
    source, target = ((m - m.mean(1, keepdim=True)).square().sum((1, 2)) for m in (source_mesh, target_mesh))
    return (source / target.clamp(min=1e-12)).sqrt()


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
        value = (mean @ top.surroundings).clamp(0, 1) * (1 - away)
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
    """Copied to a device once: a copy makes the program wait for the device."""
    top = topology()
    incidence = np.zeros((len(top.triangles), len(top.canonical)), np.float32)
    for corner in top.corners:
        incidence[np.arange(len(corner)), corner] = 1
    inside, ring = inside_lips()

    def on_device(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    return _Constants(
        on_device(top.corners),
        on_device(top.mirror),
        on_device(rigid_triangles().astype(np.float32)),
        on_device(incidence),
        on_device(surroundings().T),
        on_device(inside),
        on_device(ring),
        on_device(np.array(_LIP_PAIRS)),
    )
