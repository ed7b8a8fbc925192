"""FaceDetector and MeshNet: what their outputs mean."""

from __future__ import annotations

import pytest
import torch

from reliableswap.models.detector import STRIDES, FaceDetector
from reliableswap.models.landmarks import MeshNet


def test_decode_puts_an_all_zero_cell_at_its_own_centre() -> None:
    maps = [torch.zeros(1, 15, 64 // s, 64 // s) for s in STRIDES]
    answers = FaceDetector.decode(maps)
    assert answers.shape == (1, 64 + 16 + 4, 15)
    assert torch.allclose(
        answers[0, 0, 1:3], torch.tensor([3.5, 3.5])
    )  # cell 0 of stride 8 covers pixels 0..7
    assert torch.allclose(answers[0, -1, 1:3], torch.tensor([47.5, 47.5]))
    assert answers[0, 0, 3].exp() == pytest.approx(32)
    assert torch.allclose(answers[0, 0, 5:7], answers[0, 0, 1:3])


def test_the_answers_above_a_score_are_those_of_the_whole_table() -> None:
    torch.manual_seed(0)
    detector = FaceDetector().eval()
    with torch.no_grad():
        for head in detector.heads:
            torch.nn.init.normal_(head.weight, std=0.5)
        image = torch.rand(1, 3, 96, 160) * 2 - 1
        everything = detector(image)[0]
        limit = float(everything[:, 0].quantile(0.8))
        some = detector.above(image, limit)
    wanted = everything[everything[:, 0] > limit]
    assert 20 < len(some) < len(everything) / 2
    assert torch.allclose(some, wanted, atol=1e-4)


def test_the_mesh_starts_from_the_shapes_it_is_given() -> None:
    torch.manual_seed(0)
    shapes = 64 + 20 * torch.randn(40, 468, 3)
    net = MeshNet().eval()
    net.init_shape_model(shapes)
    mesh, presence = net(torch.zeros(2, 3, 128, 128))
    assert mesh.shape == (2, 468, 3)
    assert presence.shape == (2,)
    assert (mesh[0] - shapes.mean(0)).abs().mean() < (shapes[0] - shapes.mean(0)).abs().mean()


def test_the_networks_stay_within_their_budgets() -> None:
    assert FaceDetector().parameter_count <= 500_000
    assert MeshNet().parameter_count <= 1_000_000
