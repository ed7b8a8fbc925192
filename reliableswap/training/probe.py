"""Looking at aligned crops inside a training: windows for the encoders, openings of eyes and mouth, eye patches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..faces.align import FIXER_WINDOW, IDENTITY_WINDOW, TEMPLATES, upright
from ..models.landmarks import MeshNet

# Pairs whose distance says how open eyes and mouth are, how wide the mouth, how high the brows.
OPENINGS = (
    (159, 145), (160, 144), (158, 153), (386, 374), (385, 380), (387, 373),  # lids
    (13, 14), (82, 87), (312, 317), (81, 178), (311, 402),  # inner lips
    (61, 291), (0, 17),  # mouth corners, outer lips
    (105, 159), (334, 386),  # brows over lids
)  # fmt: skip
_EYES = ((33, 133), (362, 263))  # corners, from left to right
_PATCH = (6, 12)  # rows and columns of an eye patch
_CROP = 128


def at_128(pictures: Tensor) -> Tensor:
    """(B,3,S,S) -> (B,3,128,128) by the pixel-centre rule."""
    if pictures.shape[-1] == _CROP:
        return pictures
    return F.interpolate(pictures, size=(_CROP, _CROP), mode="bilinear", antialias=True, align_corners=False)


def identity_window(pictures: Tensor) -> Tensor:
    """(B,3,S,S) arcface_128 crops -> (B,3,112,112) what an identity encoder sees."""
    return at_128(pictures)[..., IDENTITY_WINDOW[0], IDENTITY_WINDOW[1]]


def fixer_window(pictures: Tensor) -> Tensor:
    """(B,3,S,S) arcface_128 crops -> (B,3,56,56) what FixerNet sees."""
    return at_128(pictures)[..., FIXER_WINDOW[0], FIXER_WINDOW[1]]


class MeshProbe(nn.Module):
    """(B,3,S,S) arcface_128 crops -> (B,468,3) meshes in units of the eye distance, with a gradient."""

    def __init__(self, landmarks: MeshNet) -> None:
        super().__init__()
        self.landmarks = landmarks.requires_grad_(False).eval()
        self.size = int(landmarks.config["size"])
        # MeshNet's own crop of a face is found from its five points, and those are the template's here.
        matrix = upright(TEMPLATES["arcface_128"].at(_CROP), self.size, float(landmarks.config["crop_scale"]))
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        linear = back[:, :2] * self.size / _CROP
        middle = (back @ [(self.size - 1) / 2, (self.size - 1) / 2, 1] * 2 + 1) / _CROP - 1
        self.register_buffer(
            "theta", torch.from_numpy(np.column_stack([linear, middle])).float(), persistent=False
        )

    theta: Tensor

    def crops(self, pictures: Tensor) -> Tensor:
        """(B,3,S,S) -> (B,3,N,N) what MeshNet sees of them."""
        shape = [len(pictures), 3, self.size, self.size]
        grid = F.affine_grid(self.theta.expand(len(pictures), 2, 3), shape, align_corners=False)
        # Outside it is black, as the analyser's crops are.
        return F.grid_sample(pictures.float() + 1, grid, padding_mode="zeros", align_corners=False) - 1

    def forward(self, pictures: Tensor) -> Tensor:
        mesh = self.landmarks(self.crops(pictures))[0].float()
        return mesh / (mesh[:, 33] - mesh[:, 263]).norm(dim=1)[:, None, None].clamp(min=1.0)


def openings(mesh: Tensor) -> Tensor:
    """(B,468,3) in units of the eye distance -> (B,K) distances that an expression changes."""
    first, second = (torch.tensor(side, device=mesh.device) for side in zip(*OPENINGS, strict=True))
    return (mesh[:, first, :2] - mesh[:, second, :2]).square().sum(2).add(1e-6).sqrt()


def eye_patches(pictures: Tensor, mesh: Tensor) -> Tensor:
    """(B,3,S,S), the mesh (B,468,3) in its pixels -> (B,2,6,12) both eyes in grey, upright and of one size."""
    size = pictures.shape[-1]
    grey = pictures.float().mean(1, keepdim=True)
    rows, columns = _PATCH
    v, u = torch.meshgrid(
        torch.linspace(-0.25, 0.25, rows, device=mesh.device),
        torch.linspace(-0.5, 0.5, columns, device=mesh.device),
        indexing="ij",
    )
    patches = []
    for left, right in _EYES:
        a, b = mesh[:, left, :2].float(), mesh[:, right, :2].float()
        across, middle = b - a, (a + b) / 2
        down = torch.stack([-across[:, 1], across[:, 0]], 1)
        points = (
            middle[:, None, None] + u[..., None] * across[:, None, None] + v[..., None] * down[:, None, None]
        )
        grid = (points + 0.5) / size * 2 - 1
        patches.append(F.grid_sample(grey, grid, padding_mode="border", align_corners=False))
    return torch.cat(patches, 1)
