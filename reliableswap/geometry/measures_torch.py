"""Expression, pose and gaze of meshes as differentiable losses need them: the twins of measures.py in PyTorch.

Meshes are (B,468,3); lengths are in eye distances.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .measures import expressive_points, rigid_points
from .shape import PERSON_GAIN, person_modes, similarity3d
from .topology import topology

# Pairs of points whose distances an expression changes.
OPENINGS = (
    (159, 145), (160, 144), (158, 153), (386, 374), (385, 380), (387, 373),  # lids
    (13, 14), (82, 87), (312, 317), (81, 178), (311, 402),  # inner lips
    (61, 291), (0, 17),  # mouth corners, outer lips
    (105, 159), (334, 386),  # brows and lids
)  # fmt: skip
_EYES = ((33, 133), (362, 263))  # corners, from left to right
_EYE_PATCH = (6, 12)  # rows and columns


def no_autocast(tensor: Tensor) -> torch.autocast:
    """Disable autocast: bfloat16 resolves coordinates only to half a pixel."""
    return torch.autocast(tensor.device.type, enabled=False)


def openings(mesh: Tensor) -> Tensor:
    """(B,468,3) -> (B,K) distances of lids, lips and brows, without depth."""
    first, second = (torch.tensor(side, device=mesh.device) for side in zip(*OPENINGS, strict=True))
    return (mesh[:, first, :2] - mesh[:, second, :2]).square().sum(2).add(1e-6).sqrt()


class MeshDifference(nn.Module):
    """How the expression and the pose of one mesh differ from another's, with gradients for the first.

    Unlike measures.py it treats the alignment to the mean face as constant, approximates rotations as small, and does
    not restore how open lids and lips are after the person's proportions are removed.
    """

    def __init__(self) -> None:
        super().__init__()
        analyse, synthesise = person_modes()
        self.register_buffer("analyse", torch.from_numpy(analyse).float(), persistent=False)
        self.register_buffer("synthesise", torch.from_numpy(synthesise).float(), persistent=False)
        self.rigid, self.expressive = rigid_points(), expressive_points()

    analyse: Tensor
    synthesise: Tensor

    def expression(self, mesh: Tensor, other: Tensor) -> Tensor:
        """(B,468,3) twice -> (B,N,3) displacement of lips, lids and brows, without that of another person's shape."""
        with no_autocast(mesh):
            difference = self._frontal(other) - self._frontal(mesh)
            person = difference.flatten(1) @ self.analyse @ self.synthesise.T
        return (difference.flatten(1) - PERSON_GAIN * person).unflatten(1, (-1, 3))[:, self.expressive]

    def rotation(self, mesh: Tensor, other: Tensor) -> Tensor:
        """(B,468,3) twice -> (B,3) small rotation about x, y and z in radians, from the other head to this one."""
        p, q = (one[:, self.rigid] - one[:, self.rigid].mean(1, keepdim=True) for one in (mesh, other))
        with no_autocast(mesh):
            inertia = q.square().sum((1, 2))[:, None, None] * torch.eye(3, device=q.device) - q.mT @ q
            return torch.linalg.solve(inertia, torch.linalg.cross(q, p).sum(1))

    def _frontal(self, mesh: Tensor) -> Tensor:
        """(B,468,3) -> the mesh aligned to the mean face by a similarity that gets no gradient."""
        # A mesh that is not finite is aligned as zeros; the trainer reports the loss that follows from it.
        rigid = mesh[:, self.rigid].detach().nan_to_num().cpu().numpy()
        places = [similarity3d(one, topology().canonical[self.rigid]) for one in rigid]
        linear = np.stack([scale * rotation for scale, rotation, _ in places])
        shift = np.stack([shift for _, _, shift in places])
        linear_, shift_ = (torch.from_numpy(x).to(mesh.device, mesh.dtype) for x in (linear, shift))
        return mesh @ linear_ + shift_[:, None]


def eye_patches(pictures: Tensor, mesh: Tensor) -> Tensor:
    """(B,3,S,S), (B,468,3) in its pixels -> (B,2,6,12) both eyes in grey, upright and at one size."""
    size = pictures.shape[-1]
    grey = pictures.float().mean(1, keepdim=True)
    rows, columns = _EYE_PATCH
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
