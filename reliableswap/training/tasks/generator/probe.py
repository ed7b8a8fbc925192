"""Looking at aligned crops inside a training: windows for the encoders, openings of eyes and mouth, eye patches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, TEMPLATES, upright
from reliableswap.geometry.expression import expressive_points, rigid_points
from reliableswap.geometry.shape import PERSON_GAIN, person_modes, similarity3d
from reliableswap.geometry.topology import topology
from reliableswap.models.landmarks import MeshNet

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


def exact(tensor: Tensor) -> torch.autocast:
    """Coordinates have to be: bfloat16 knows the place of a lip to half a pixel."""
    return torch.autocast(tensor.device.type, enabled=False)


def jittered(pictures: Tensor, strength: float = 1.0) -> Tensor:
    """(B,3,S,S) the crops turned by up to 6 degrees, scaled by 6 % and moved by 3 %, some mirrored.

    An identity that an encoder sees only from exactly here is a pattern made for this encoder.
    """
    count = len(pictures)

    def draw(most: float) -> Tensor:
        return (torch.rand(count, device=pictures.device) * 2 - 1) * (most * strength)

    angle, scale, flip = (
        draw(0.1),
        1 + draw(0.06),
        1 - 2 * (torch.rand(count, device=pictures.device) < 0.5).float(),
    )
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [cos * flip, -sin, draw(0.06), sin * flip, cos, draw(0.06)]
    theta = torch.stack(rows, 1).view(-1, 2, 3)
    with exact(pictures):
        grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures.float(), grid, padding_mode="border", align_corners=False)


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
        with exact(pictures):
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


class Likeness(nn.Module):
    """What evaluation asks of a mesh, with a gradient: how its expression and its pose differ from another's.

    Both are those of evaluation.geometry but for the alignment, which is taken as given, and for the angle, which is
    worked out for small ones.
    """

    def __init__(self) -> None:
        super().__init__()
        analyse, synthesise = person_modes()
        self.register_buffer("analyse", torch.from_numpy(analyse).float(), persistent=False)
        self.register_buffer("synthesise", torch.from_numpy(synthesise).float(), persistent=False)
        self.register_buffer("mean", torch.from_numpy(topology().canonical).float(), persistent=False)
        self.rigid, self.expressive = rigid_points(), expressive_points()

    analyse: Tensor
    synthesise: Tensor
    mean: Tensor

    def expression(self, made: Tensor, other: Tensor) -> Tensor:
        """(B,468,3) twice -> (B,N,3) lips, lids and brows, less what is another person's face, not expression."""
        with exact(made):
            difference = self._frontal(other) - self._frontal(made)
            person = difference.flatten(1) @ self.analyse @ self.synthesise.T
        return (difference.flatten(1) - PERSON_GAIN * person).unflatten(1, (-1, 3))[:, self.expressive]

    def turn(self, made: Tensor, other: Tensor) -> Tensor:
        """(B,468,3) twice -> (B,3) radians about x, y and z from the other's head to the made one's."""
        p, q = (mesh[:, self.rigid] - mesh[:, self.rigid].mean(1, keepdim=True) for mesh in (made, other))
        with exact(made):
            spread = q.square().sum((1, 2))[:, None, None] * torch.eye(3, device=q.device) - q.mT @ q
            return torch.linalg.solve(spread, torch.linalg.cross(q, p).sum(1))

    def _frontal(self, mesh: Tensor) -> Tensor:
        """(B,468,3) -> the mesh laid on the mean face; no gradient goes through where it is laid."""
        places = [similarity3d(one, topology().canonical[self.rigid]) for one in _numpy(mesh[:, self.rigid])]
        matrix = np.stack([scale * rotation for scale, rotation, _ in places])
        shift = np.stack([shift for _, _, shift in places])
        turn, move = (torch.from_numpy(x).to(mesh.device, mesh.dtype) for x in (matrix, shift))
        return mesh @ turn + move[:, None]


def _numpy(tensor: Tensor) -> np.ndarray:
    """Its numbers; zero for what is not finite, for which the loop stops the run with a word of its own."""
    return tensor.detach().nan_to_num().cpu().numpy()


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
