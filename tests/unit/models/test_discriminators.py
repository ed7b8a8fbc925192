"""The discriminators: their scales, their bound, and what stays frozen."""

from __future__ import annotations

import pytest
import torch

from reliableswap.models import PatchDiscriminator, PerceptualFeatures, ProjectedDiscriminator
from reliableswap.runtime.torch import frozen_copy


def test_discriminators_judge_at_every_scale() -> None:
    pictures = torch.rand(2, 3, 64, 64)
    patches = PatchDiscriminator(channels=8, scales=3)(pictures)
    assert [logits.shape for logits in patches.logits] == [(2, 1, s, s) for s in (8, 4, 2)]
    assert [len(maps) for maps in patches.features] == [4, 4, 4]
    projected = ProjectedDiscriminator(channels=8)(pictures)
    assert [logits.shape for logits in projected.logits] == [(2, 1, 2, 2)] * 4


def test_patch_discriminator_is_lipschitz_bounded() -> None:
    network = PatchDiscriminator(channels=8, halvings=2, scales=1)
    for _ in range(30):  # the power iterations that training would do
        network(torch.rand(1, 3, 32, 32))
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            largest = torch.linalg.matrix_norm(module.weight.detach().flatten(1), ord=2)
            assert largest.item() == pytest.approx(1, abs=0.05)


def test_projected_features_stay_frozen() -> None:
    discriminator = ProjectedDiscriminator(channels=8).train()
    frozen = {
        name: tensor.clone() for name, tensor in discriminator.state_dict().items() if "judges" not in name
    }
    optimiser = torch.optim.SGD((p for p in discriminator.parameters() if p.requires_grad), lr=0.1)
    before = discriminator.judges[0].head.bias.clone()
    sum(logits.sum() for logits in discriminator(torch.rand(2, 3, 64, 64)).logits).backward()
    optimiser.step()
    after = discriminator.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in frozen.items())
    assert not torch.equal(before, discriminator.judges[0].head.bias)


def test_only_the_judges_of_a_projected_discriminator_are_trainable() -> None:
    discriminator = ProjectedDiscriminator(channels=8)
    judges = {f"judges.{name}" for name, _ in discriminator.judges.named_parameters()}
    for learning in (False, True):
        discriminator.requires_grad_(learning)
        trainable = {name for name, p in discriminator.named_parameters() if p.requires_grad}
        assert trainable == (judges if learning else set())


def test_projected_uses_a_faster_copy_that_it_does_not_save() -> None:
    discriminator = ProjectedDiscriminator(channels=8).eval()
    before, names = discriminator(torch.ones(1, 3, 64, 64)).logits[0], set(discriminator.state_dict())
    discriminator.use_features(frozen_copy(discriminator.features))
    assert set(discriminator.state_dict()) == names
    assert torch.allclose(discriminator(torch.ones(1, 3, 64, 64)).logits[0], before, atol=1e-4)
    other = PerceptualFeatures()
    torch.nn.init.ones_(other.stem[0].weight)
    discriminator.use_features(other)
    assert not torch.allclose(discriminator(torch.ones(1, 3, 64, 64)).logits[0], before, atol=1e-4)


def test_projected_takes_over_its_features() -> None:
    features = PerceptualFeatures()
    discriminator = ProjectedDiscriminator.from_features(features, channels=8)
    pictures = torch.rand(1, 3, 64, 64)
    for ours, theirs in zip(discriminator.features(pictures), features(pictures), strict=True):
        assert torch.equal(ours, theirs)
