"""Colours and light of a batch of pictures: the twin of colour.py in PyTorch, and blurs whose width differs by sample.

Pictures are (B,3,H,W) float32, RGB in 0..255 or Lab as in colour.py. They may be lists of N pixels (B,3,1,N), as in
geometry/warp_torch.py. Sums are in double precision for the reason given there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.geometry.measures_torch import precise
from reliableswap.geometry.warp_torch import put, read

from .colour import DEVIATION_RATIOS, KEPT_TINT, LIGHT_RATIOS, MIN_CHROMA, SKIN_LIKE

_CELLS = 32  # per side of the copy on which local means are computed
_REDUCTION = 3.0  # sigma in cells of the copy that colour.local_means reduces to
_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.950456, 1.0, 1.088754)
_DARK, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116  # of the linear segment below the cube root
_FURTHEST = 96  # pixels beyond a picture's edge that a blur reaches at most


def to_lab(rgb: Tensor) -> Tensor:
    """RGB in 0..255 -> Lab, L in 0..100."""
    linear = rgb * (1 / 255)
    linear = torch.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055).clamp(min=0) ** 2.4)
    xyz = _mixed(linear, *(tuple(v / w for v in row) for row, w in zip(_XYZ, _WHITE, strict=True)))
    root = torch.where(xyz > _DARK, xyz.clamp(min=1e-8) ** (1 / 3), _SLOPE * xyz + _OFFSET)
    x, y, z = root.unbind(1)
    light = torch.where(xyz[:, 1] > _DARK, 116 * y - 16, 903.3 * xyz[:, 1])
    return torch.stack([light, 500 * (x - y), 200 * (y - z)], 1)


def to_rgb(lab: Tensor) -> Tensor:
    """Lab -> RGB in 0..255."""
    light, a, b = lab.unbind(1)
    dark = light <= 8
    y = torch.where(dark, light / 903.3 * _SLOPE + _OFFSET, (light + 16) / 116)
    root = torch.stack([y + a / 500, y, y - b / 200], 1)
    limit = _SLOPE * _DARK + _OFFSET
    xyz = torch.where(root <= limit, (root - _OFFSET) / _SLOPE, root**3)
    linear = _mixed(xyz, *_to_linear()).clamp(0, 1)
    rgb = torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    )
    return rgb.clamp(0, 1) * 255


def _mixed(pictures: Tensor, *rows: Sequence[float]) -> Tensor:
    """(B,3,S,S) each channel a weighted sum of all; a matrix product's result would depend on the batch."""
    a, b, c = pictures.unbind(1)
    return torch.stack([row[0] * a + row[1] * b + row[2] * c for row in rows], 1)


@lru_cache(maxsize=1)
def _to_linear() -> list[list[float]]:
    matrix = torch.linalg.inv(torch.tensor(_XYZ, dtype=torch.float64)) * torch.tensor(
        _WHITE, dtype=torch.float64
    )
    return matrix.tolist()


def match(lab: Tensor, reference: Tensor, weight: Tensor) -> Tensor:
    """Lab with the reference's mean and deviation over pixels weighted by (B,1,S,S), as colour.match."""
    (mean, deviation), (wanted_mean, wanted_deviation) = moments(lab, weight), moments(reference, weight)
    gain = (wanted_deviation / deviation.clamp(min=1e-3)).clamp(*DEVIATION_RATIOS)
    moved = lab * gain + (wanted_mean - gain * mean)
    floor = (mean[:, :1] - 2.5 * deviation[:, :1]).clamp(min=1.0)
    share = (lab[:, :1] / floor).clamp(0, 1)
    tint = _shift_tint(lab[:, 1:], share * (moved[:, 1:] - lab[:, 1:]), mean[:, 1:])
    return torch.where(_enough(weight), torch.cat([moved[:, :1], tint], 1), lab)


def match_light(
    lab: Tensor, reference: Tensor, weight: Tensor, sigma: Tensor, pixels: Tensor, size: int
) -> Tensor:
    """Lab with the reference's local means over weighted pixels, as colour.match_light; sigma: (B,) pixels.

    pixels: (B,N) flat indices of the listed pixels in pictures of side `size`, a multiple of 32.
    """
    own, wanted = local_means(lab, reference, weight, sigma, pixels, size)
    gain = (wanted[:, :1] / own[:, :1].clamp(min=1.0)).clamp(*LIGHT_RATIOS)
    share = (lab[:, :1] / (0.7 * own[:, :1]).clamp(min=1.0)).clamp(0, 1)
    tint = _shift_tint(lab[:, 1:], share * (wanted[:, 1:] - own[:, 1:]), own[:, 1:])
    return torch.where(_enough(weight), torch.cat([lab[:, :1] * gain, tint], 1), lab)


def moments(lab: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """(B,3,1,1), (B,3,1,1) mean and standard deviation over weighted pixels."""
    total = _sum(weight).clamp(min=1e-12)
    mean = _sum(lab * weight) / total
    square = _sum((lab - mean).square() * weight) / total
    return mean, square.clamp(min=0).sqrt()


def local_means(
    one: Tensor, other: Tensor, weight: Tensor, sigma: Tensor, pixels: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """The two pictures' weighted means within about `sigma` (B,) pixels of every pixel, as colour.local_means."""
    cell = size // _CELLS
    small = F.avg_pool2d(put(torch.cat([one * weight, other * weight, weight], 1), pixels, size), cell)
    # Reducing and enlarging blur too, here with cells of another size than in colour.py.
    k = (sigma / _REDUCTION).clamp(min=1.0)
    more = (k.square() - cell**2) / 4
    near, wide = ((variance + more).clamp(min=0.01).sqrt() / cell for variance in (sigma**2, 9 * sigma**2))
    small, wider = blurred(small, near), blurred(small, wide)
    everywhere = _sum(small) / 1000
    whole = small + 1e-2 * wider + (1e-4 * everywhere + 1e-9)
    places = torch.stack([pixels % size, pixels // size], 2)[:, None] * (2 / size) + (1 / size - 1)
    means = read(whole[:, :6] / whole[:, 6:], places, "bilinear", "border")
    return means[:, :3], means[:, 3:]


def blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """(B,C,H,W) blurred by a Gaussian of `sigma` (B,) pixels; edge pixels are repeated beyond the edges."""
    rows, columns = (_kernels(sigma, size) for size in pictures.shape[2:])
    return (rows @ pictures.to(rows.dtype) @ columns.mT).float()


def _kernels(sigma: Tensor, size: int) -> Tensor:
    """(B,1,S,S) matrices that blur S pixels by `sigma` (B,)."""
    device, sigma = sigma.device, sigma.to(precise(sigma.device))
    reach = torch.arange(-_FURTHEST, size + _FURTHEST, device=device)
    away = reach[None] - torch.arange(size, device=device)[:, None]
    weights = torch.exp(-0.5 * (away[None] / sigma[:, None, None]).square())
    inner = weights[:, :, _FURTHEST : _FURTHEST + size].clone()
    inner[:, :, 0] += weights[:, :, :_FURTHEST].sum(2)
    inner[:, :, -1] += weights[:, :, _FURTHEST + size :].sum(2)
    return (inner / inner.sum(2, keepdim=True))[:, None]


def _enough(weight: Tensor) -> Tensor:
    return _sum(weight) >= 1e-3


def _sum(planes: Tensor) -> Tensor:
    """(B,C,1,1)"""
    return planes.sum((2, 3), keepdim=True, dtype=precise(planes.device)).float()


def _shift_tint(tint: Tensor, shifts: Tensor, skin: Tensor) -> Tensor:
    """(B,2,S,S) a and b after shifts that are meant for skin of that tint, as in colour.py."""
    length = skin.square().sum(1, keepdim=True).clamp(min=MIN_CHROMA**2)
    own, gained = ((one * skin).sum(1, keepdim=True) / length for one in (tint, shifts))
    lost = (-gained).clamp(min=0)
    kept = 1 - KEPT_TINT * (1 - lost).clamp(min=0)
    most = (kept / lost.clamp(min=1e-3)).clamp(max=1 / SKIN_LIKE)
    share = torch.where(lost > 0, (own * most).clamp(0, 1), 1.0)
    return tint + share * shifts
