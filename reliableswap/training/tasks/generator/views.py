"""Turn aligned crops into what the losses' frozen networks see: windows, jittered crops, meshes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, TEMPLATES, upright
from reliableswap.geometry.measures_torch import no_autocast
from reliableswap.models.landmarks import MeshNet

_CROP = 128


def identity_window(pictures: Tensor) -> Tensor:
    """(B,3,S,S) arcface_128 crops -> (B,3,112,112), the input of an identity encoder."""
    return at_128(pictures)[..., IDENTITY_WINDOW[0], IDENTITY_WINDOW[1]]


def fixer_window(pictures: Tensor) -> Tensor:
    """(B,3,S,S) arcface_128 crops -> (B,3,56,56), the input of FixerNet."""
    return at_128(pictures)[..., FIXER_WINDOW[0], FIXER_WINDOW[1]]


def at_128(pictures: Tensor) -> Tensor:
    """(B,3,S,S) -> (B,3,128,128), resized with antialiasing."""
    if pictures.shape[-1] == _CROP:
        return pictures
    return F.interpolate(pictures, size=(_CROP, _CROP), mode="bilinear", antialias=True, align_corners=False)


def jitter(pictures: Tensor, strength: float = 1.0) -> Tensor:
    """(B,3,S,S) -> rotated by up to 6 degrees, scaled by up to 6 %, shifted by up to 3 %, half of them mirrored.

    Without it, a generator learns a pattern that only this encoder, at exactly this alignment, takes for the identity.
    """
    count = len(pictures)

    def draw(limit: float) -> Tensor:
        return (torch.rand(count, device=pictures.device) * 2 - 1) * (limit * strength)

    angle, scale = draw(0.1), 1 + draw(0.06)
    flip = 1 - 2 * (torch.rand(count, device=pictures.device) < 0.5).float()
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [cos * flip, -sin, draw(0.06), sin * flip, cos, draw(0.06)]
    theta = torch.stack(rows, 1).view(-1, 2, 3)
    with no_autocast(pictures):
        grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures.float(), grid, padding_mode="border", align_corners=False)


class MeshReader(nn.Module):
    """(B,3,S,S) arcface_128 crops -> (B,468,3) meshes with eye distance 1, differentiable."""

    def __init__(self, landmarks: MeshNet) -> None:
        super().__init__()
        self.landmarks = landmarks.requires_grad_(False).eval()
        self.size = int(landmarks.config["size"])
        # MeshNet's own crop is computed from a face's five points; in aligned crops these are the template's.
        matrix = upright(TEMPLATES["arcface_128"].at(_CROP), self.size, float(landmarks.config["crop_scale"]))
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        linear = back[:, :2] * self.size / _CROP
        middle = (back @ [(self.size - 1) / 2, (self.size - 1) / 2, 1] * 2 + 1) / _CROP - 1
        self.register_buffer(
            "theta", torch.from_numpy(np.column_stack([linear, middle])).float(), persistent=False
        )

    theta: Tensor

    def crops(self, pictures: Tensor) -> Tensor:
        """(B,3,S,S) -> (B,3,N,N), the input of MeshNet."""
        shape = [len(pictures), 3, self.size, self.size]
        with no_autocast(pictures):
            grid = F.affine_grid(self.theta.expand(len(pictures), 2, 3), shape, align_corners=False)
            # Black outside the picture, like the face analyser's crops.
            return F.grid_sample(pictures.float() + 1, grid, padding_mode="zeros", align_corners=False) - 1

    def forward(self, pictures: Tensor) -> Tensor:
        mesh = self.landmarks(self.crops(pictures))[0].float()
        return mesh / (mesh[:, 33] - mesh[:, 263]).norm(dim=1)[:, None, None].clamp(min=1.0)
