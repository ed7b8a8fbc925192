"""The differentiable measures agree with those of measures.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.completed import Completed
from torch import Tensor

from reliableswap.data.mix import Mix
from reliableswap.data.triplet_dataset import TripletDataset
from reliableswap.geometry import measures
from reliableswap.geometry.measures_torch import MeshDifference, eye_patches, openings
from reliableswap.training.tasks.generator.losses import expression_loss, pose_loss

FOUR_DEGREES = np.radians(4.0)


@pytest.fixture(scope="module")
def meshes(triplets: Path) -> tuple[Tensor, Tensor]:
    """Two batches of meshes (12,468,3) in pixels: of photos and of surrogates."""
    samples = (TripletDataset(triplets, "train", mix=Mix(vanilla=1), seed=seed) for seed in (0, 1))
    first, second = (torch.stack([one[i]["mesh"] for i in range(12)]) for one in samples)
    return first, second


def turned(mesh: Tensor, angle: float) -> Tensor:
    """The mesh (...,468,3) rotated about the vertical axis."""
    matrix = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    return mesh @ torch.tensor(matrix, dtype=mesh.dtype)


def test_expression_agrees(meshes: tuple[Tensor, Tensor]) -> None:
    found = expression_loss(MeshDifference().expression(*meshes)).numpy()
    pairs = zip(*(one.numpy() for one in meshes), strict=True)
    wanted = np.array([measures.expression_error(a, b) for a, b in pairs])
    # measures.py restores the openings of lids and lips after removing the other's shape, so one in a dozen differs.
    assert np.corrcoef(found, wanted)[0, 1] > 0.9
    assert np.median(found / wanted) == pytest.approx(1, abs=0.35)
    assert np.mean(np.abs(found / wanted - 1) < 0.35) > 0.9


def test_expression_does_not_depend_on_pose(meshes: tuple[Tensor, Tensor]) -> None:
    mesh, _ = meshes
    found = expression_loss(MeshDifference().expression(turned(mesh, 0.3) * 2 + 5, mesh))
    assert float(found.max()) < 1e-3


def test_pose_agrees(meshes: tuple[Tensor, Tensor]) -> None:
    mesh, _ = meshes
    moved = turned(mesh, FOUR_DEGREES)
    found = pose_loss(MeshDifference().rotation(moved, mesh)).numpy()
    wanted = [measures.pose_error(a, b) for a, b in zip(moved.numpy(), mesh.numpy(), strict=True)]
    assert np.degrees(found) == pytest.approx(np.array(wanted), rel=0.02)
    assert wanted[0] == pytest.approx(4.0, abs=0.01)


def test_the_largest_opening_of_the_lids_agrees(meshes: tuple[Tensor, Tensor]) -> None:
    flat = meshes[0] * torch.tensor([1.0, 1.0, 0.0])  # openings are measured in the picture
    lids = openings(flat)[:, [0, 3]].numpy()
    widths = np.array(
        [[np.linalg.norm(m[33] - m[133]), np.linalg.norm(m[362] - m[263])] for m in flat.numpy()]
    )
    wanted = np.array([measures.eye_openings(m) for m in flat.numpy()])
    assert lids / widths == pytest.approx(wanted, rel=1e-3)


def test_differences_are_exact_under_autocast(meshes: tuple[Tensor, Tensor]) -> None:
    difference = MeshDifference()
    exact = difference.expression(*meshes), difference.rotation(*meshes)
    with torch.autocast("cpu", torch.bfloat16):
        found = difference.expression(*meshes), difference.rotation(*meshes)
    assert all(torch.equal(a, b) for a, b in zip(exact, found, strict=True))


def test_gradients_reach_the_first_mesh(meshes: tuple[Tensor, Tensor]) -> None:
    mesh, other = meshes[0].clone().requires_grad_(), meshes[1]
    difference = MeshDifference()
    for loss in (
        expression_loss(difference.expression(mesh, other)),
        pose_loss(difference.rotation(mesh, other)),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), mesh)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


def test_eye_patches_show_the_eyes(triplets: Path) -> None:
    sample = Completed(triplets, "train", mix=Mix(vanilla=1))[0]
    patches = eye_patches(sample["target"][None], sample["mesh"][None])
    assert patches.shape == (1, 2, 6, 12)
    assert float(patches.std(dim=(2, 3)).min()) > 0.02
