"""Copies of frozen networks for losses compute what the networks do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliableswap.models import FixerNet, IdentityEncoder, MeshNet, PerceptualFeatures
from reliableswap.runtime.torch import frozen_copy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "size"),
    [
        (IdentityEncoder(embedding_size=16), 112),
        (FixerNet(embedding_size=8), 56),
        (IdentityEncoder(body="iresnet18", embedding_size=16), 112),
        (PerceptualFeatures(), 64),
        (MeshNet(), 128),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_a_frozen_copy_answers_the_same(network: nn.Module, size: int) -> None:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    pictures = torch.rand(2, 3, size, size) * 2 - 1
    quick = frozen_copy(network)
    ours, theirs = (flat(one(pictures.requires_grad_())) for one in (quick, network))
    assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()
    ours.square().sum().backward()
    assert pictures.grad is not None
    assert 0 < float(pictures.grad.abs().sum()) < float("inf")
    assert sum(isinstance(one, nn.BatchNorm2d) for one in quick.modules()) < sum(
        isinstance(one, nn.BatchNorm2d) for one in network.modules()
    )
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rounded = flat(frozen_copy(network, torch.bfloat16)(pictures)).float()
        as_before = flat(network(pictures)).float()
    assert (rounded - theirs).abs().mean() < 2 * (as_before - theirs).abs().mean() + 1e-4


def flat(answer: Any) -> Tensor:
    answer = [answer] if isinstance(answer, Tensor) else list(answer)
    return torch.cat([one.flatten() for one in answer])
