"""Give a generated face the coarse colours expected from guidance and target."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)
_LIGHT_CELLS = 8  # cells a side of the grid on which light may change
_MIN_LIGHTNESS = 0.06  # of 2; darker cells have no reliable colour


def expected_colours(target: Tensor, guidance: Tensor | None) -> Tensor:
    """(B,3,H,W), (B,4,H,W) in [-1,1] -> (B,3,H,W): the guidance in the target's light where valid, else the target."""
    if guidance is None:
        return target
    texture, valid = guidance[:, :3], guidance[:, 3:]
    difference = _coarse(torch.cat([(target - texture) * valid, valid], 1), _LIGHT_CELLS)
    light = _enlarged(difference[:, :3] / difference[:, 3:].clamp(min=0.02), target.shape[-2:])
    return target + valid * (texture + light - target)


def with_coarse_colours(image: Tensor, reference: Tensor, cells: int) -> Tensor:
    """Two pictures (B,3,H,W) in [-1,1] -> the image with the reference's coarse colours; its lightness stays."""
    ours, theirs = _coarse(image.float() + 1, cells), _coarse(reference.float() + 1, cells)
    luma = ours.new_tensor(_LUMA)[:, None, None]

    def lightness(picture: Tensor) -> Tensor:
        return (picture * luma).sum(1, keepdim=True)

    goal = theirs * (lightness(ours) / lightness(theirs).clamp(min=_MIN_LIGHTNESS))
    change = _enlarged(goal - ours, image.shape[-2:])
    return (image + change.to(image.dtype)).clamp(-1, 1)


def _coarse(picture: Tensor, cells: int) -> Tensor:
    """(B,C,H,W) -> (B,C,cells,cells): averages over cells, smoothed with their neighbours."""
    # Skip pooling if each cell is one pixel; otherwise a converted network would contain a needless operation.
    small = picture if picture.shape[-2:] == (cells, cells) else F.adaptive_avg_pool2d(picture, cells)
    return F.avg_pool2d(F.pad(small, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _enlarged(picture: Tensor, size: torch.Size) -> Tensor:
    """(B,C,h,w) -> (B,C,H,W), bilinear."""
    if picture.shape[-2:] == size:
        return picture
    return F.interpolate(picture, size=size, mode="bilinear", align_corners=False)
