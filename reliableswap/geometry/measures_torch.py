"""Expression, pose and gaze of meshes for differentiable losses: the twin of measures.py in PyTorch.

Meshes are (B,468,3); lengths are in eye distances.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .measures import expressive_points, rigid_points
from .shape import PERSON_GAIN, person_modes
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
_NEWTON_STEPS = 12  # enough to converge to the last digits, even for nearly flat faces


def no_autocast(tensor: Tensor) -> torch.autocast:
    """Disable autocast: bfloat16 resolves coordinates only to half a pixel."""
    return torch.autocast(tensor.device.type, enabled=False)


def precise(device: torch.device) -> torch.dtype:
    """Return the most precise floating-point dtype of a device: MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def openings(mesh: Tensor) -> Tensor:
    """(B,468,3) -> (B,K) distances of lids, lips and brows, without depth."""
    first, second = _opening_points(mesh.device)
    return (mesh[:, first, :2] - mesh[:, second, :2]).square().sum(2).add(1e-6).sqrt()


@lru_cache(maxsize=8)
def _opening_points(device: torch.device) -> tuple[Tensor, Tensor]:
    """Cached per device: a copy to the device makes the program wait for it."""
    with torch.inference_mode(False):
        first, second = (torch.tensor(side).to(device) for side in zip(*OPENINGS, strict=True))
    return first, second


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
        rigid = topology().canonical[rigid_points()]
        self.register_buffer("mean_face", torch.from_numpy(rigid), persistent=False)
        self.register_buffer("rigid", torch.from_numpy(rigid_points()), persistent=False)
        self.register_buffer("expressive", torch.from_numpy(expressive_points()), persistent=False)

    analyse: Tensor
    synthesise: Tensor
    mean_face: Tensor
    rigid: Tensor
    expressive: Tensor

    def expression(self, mesh: Tensor, other: Tensor) -> Tensor:
        """(B,468,3) twice -> (B,N,3) displacement of lips, lids and brows, without the difference in face shape."""
        with no_autocast(mesh):
            difference = self._frontal(other) - self._frontal(mesh)
            person = difference.flatten(1) @ self.analyse @ self.synthesise.T
        return (difference.flatten(1) - PERSON_GAIN * person).unflatten(1, (-1, 3))[:, self.expressive]

    def rotation(self, mesh: Tensor, other: Tensor) -> Tensor:
        """(B,468,3) twice -> (B,3) small rotation about x, y and z in radians, from the other head to this one."""
        p, q = (one[:, self.rigid] - one[:, self.rigid].mean(1, keepdim=True) for one in (mesh, other))
        with no_autocast(mesh):
            inertia = q.square().sum((1, 2))[:, None, None] * torch.eye(3, device=q.device) - q.mT @ q
            return (inverse3(inertia) @ torch.linalg.cross(q, p).sum(1)[..., None])[..., 0]

    def _frontal(self, mesh: Tensor) -> Tensor:
        """(B,468,3) -> the mesh aligned to the mean face by a similarity that gets no gradient."""
        # Align a non-finite mesh as zeros; the trainer reports the resulting loss.
        scale, rotation, shift = similarity3d(mesh[:, self.rigid].detach().nan_to_num(), self.mean_face)
        return mesh @ (scale[:, None, None] * rotation) + shift[:, None]


def similarity3d(points: Tensor, onto: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """scale (B,), rotation (B,3,3), shift (B,3) that take points (B,N,3) onto others (N,3), as shape.similarity3d.

    The rotation is the polar factor of the covariance, by Newton's iteration (Higham 1986): PyTorch's singular value
    decomposition makes the program wait for the device. Reflections are not considered: faces are not reflected.
    """
    a, b = points.mean(1, keepdim=True), onto.mean(0)
    dtype = precise(points.device)
    p, q = (points - a).to(dtype), (onto - b).to(dtype)
    covariance = p.mT @ q
    size = covariance.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-30)
    rotation = covariance / size + 1e-12 * torch.eye(3, device=p.device, dtype=p.dtype)
    for _ in range(_NEWTON_STEPS):
        other = inverse3(rotation).mT
        # Scaling brings the singular values to about 1 within a few steps.
        k = (other.square().sum((1, 2), keepdim=True) / rotation.square().sum((1, 2), keepdim=True)) ** 0.25
        rotation = 0.5 * (k * rotation + other / k)
    scale = (rotation * covariance).sum((1, 2)) / p.square().sum((1, 2)).clamp(min=1e-30)
    shift = b - (scale[:, None, None] * a.to(dtype) @ rotation)[:, 0]
    return scale.to(points.dtype), rotation.to(points.dtype), shift.to(points.dtype)


def inverse3(matrices: Tensor) -> Tensor:
    """(B,3,3) -> their inverses, by cofactors; unchecked, so that the program need not wait for the device."""
    a, b, c = matrices.unbind(1)
    cofactors = [torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)]
    return torch.stack(cofactors, 2) / (a * cofactors[0]).sum(1)[:, None, None]


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
