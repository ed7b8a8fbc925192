"""The margin and the relations within a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reliableswap.training.tasks.encoders.losses import MarginHead, relation_loss


def test_relation_is_zero_for_rotated_vectors_and_finite_alone(rng: np.random.Generator) -> None:
    wanted = F.normalize(torch.from_numpy(rng.normal(size=(6, 4))), dim=1)
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert float(relation_loss(wanted @ torch.from_numpy(turn), wanted)) < 1e-12
    other = wanted.roll(1, 0)
    expected = ((other @ other.T - wanted @ wanted.T)[~torch.eye(6, dtype=torch.bool)] ** 2).mean()
    assert float(relation_loss(other, wanted)) == pytest.approx(float(expected))
    assert float(relation_loss(wanted[:1], wanted[:1])) == 0.0


def test_the_margin_is_added_to_the_angle() -> None:
    head = MarginHead(2, 2, scale=8.0)
    with torch.no_grad():
        head.centres.copy_(torch.eye(2))
    angle = torch.tensor(0.3)
    vector = torch.stack([angle.cos(), angle.sin()])[None]
    for margin in (0.0, 0.5):
        logits = 8 * torch.stack([(angle + margin).cos(), angle.sin()])
        assert float(head(vector, torch.tensor([0]), margin).detach()) == pytest.approx(
            float(F.cross_entropy(logits[None], torch.tensor([0]))), rel=1e-5
        )


def test_a_wider_angle_never_lowers_the_margin_loss() -> None:
    head = MarginHead(2, 2, scale=4.0)
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    angles = torch.linspace(0.01, np.pi - 0.01, 60)
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    found = []
    for vector in vectors:
        loss = head(vector[None], torch.tensor([0]), 0.5)
        # With two people the loss is log(1 + exp(other - own)), and the other logit is known: solve for the own one.
        found.append(-4 * float(vector[1]) - float(torch.log(torch.expm1(loss.detach()))))
    assert (np.diff(found) < 0).all()


def test_people_with_one_photo_do_not_count_in_the_margin() -> None:
    torch.manual_seed(0)
    head = MarginHead(8, 5, scale=64.0)
    vectors = F.normalize(torch.randn(4, 8), dim=1).requires_grad_()
    loss = head(vectors, torch.tensor([2, -1, 0, -1]), 0.5)
    loss.backward()
    assert vectors.grad is not None
    assert head.centres.grad is not None
    assert vectors.grad[[1, 3]].abs().max() == 0
    assert vectors.grad[[0, 2]].abs().amin(0).max() > 0
    assert torch.isfinite(head.centres.grad).all()
    assert float(head(vectors, torch.full((4,), -1), 0.5).detach()) == 0.0
    exact = F.normalize(head.centres.detach(), dim=1)[:1].requires_grad_()
    head(exact, torch.tensor([0]), 0.5).backward()
    assert torch.isfinite(exact.grad).all()  # the slope of the arc cosine is infinite at an angle of zero
