"""LightGenerator: its guidance, mask, size, and learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks import CASES

from reliableswap.models import FixerNet, LightGenerator
from reliableswap.training.tasks.generator.corruption import corrupted, draw_corruption


@pytest.mark.parametrize("target_colours", [0, 16])
def test_light_without_guidance_sees_nothing_valid_as_in_training(target_colours: int) -> None:
    network = LightGenerator(
        channels=(8, 12, 16, 24), block_count=1, identity_dim=24, target_colours=target_colours
    )
    target, identity, guidance = CASES["light"].inputs(1)
    nothing = torch.cat([-torch.ones_like(target), torch.zeros_like(target[:, :1])], 1)
    drawn = draw_corruption("missing", guidance.shape[-1], np.random.default_rng(0))
    batch = {name: one[None] for name, one in drawn.items()} | {
        f"{name}_rows": torch.tensor([0]) for name in drawn
    }
    assert torch.equal(nothing, corrupted(guidance, batch))
    with torch.no_grad():
        assert torch.equal(network(target, identity).image, network(target, identity, nothing).image)
        assert not torch.allclose(network(target, identity).image, network(target, identity, guidance).image)
    with pytest.raises(ValueError, match=r"guidance .* expected \(1, 4, 64, 64\)"):
        network(target, identity, guidance[:, :3])


def test_light_mask_has_logits_and_does_not_affect_the_image() -> None:
    network = CASES["light"].build()
    image, mask = output = network(*CASES["light"].inputs(1))
    assert output.mask_logits is not None
    assert torch.allclose(torch.sigmoid(output.mask_logits), mask)
    # The image must not depend on the mask head: the last of the head's four channels.
    (gradient,) = torch.autograd.grad(image.square().sum(), [network.head.weight])
    assert gradient[3].abs().max() == 0
    assert gradient[:3].abs().max() > 0


def test_light_is_within_its_budget() -> None:
    assert 5e6 < LightGenerator(identity_dim=128, fixer_dim=128).parameter_count < 6.5e6
    assert FixerNet().parameter_count <= 1.5e6


def test_every_light_weight_learns() -> None:
    network = CASES["light"].build()
    output = network(*CASES["light"].inputs(2))
    (output.image.square().sum() + output.mask.sum()).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert idle == []


@pytest.mark.slow
def test_light_learns_to_use_its_guidance() -> None:
    network = CASES["light"].build()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    target, identity = torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(4, 24)
    texture = (torch.rand(4, 3, 1, 1) * 2 - 1).expand_as(target)
    target = torch.nn.functional.avg_pool2d(target, 15, 1, 7)
    valid = torch.zeros(4, 1, 32, 32)
    valid[..., 8:24, 8:24] = 1
    truth = torch.where(valid > 0, texture, target)
    losses = []
    for _ in range(80):
        output = network(target, identity, torch.cat([texture * valid, valid], dim=1))
        mask_loss = torch.nn.functional.binary_cross_entropy_with_logits(output.mask_logits, valid)
        loss = (output.image - truth).abs().mean() + mask_loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]
