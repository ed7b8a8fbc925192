"""The discriminators of a generator's training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from support.generator_tasks import (
    ALL_KINDS,
    EVERY_LOSS,
    SIZE,
    batch_of_every_kind,
    settings_for,
    sizes_of_gradients,
    small_light,
    task_for,
)

from reliableswap.errors import ReliableSwapError
from reliableswap.models import PatchDiscriminator, ProjectedDiscriminator


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PatchDiscriminator, ProjectedDiscriminator])
def test_the_discriminators_loss_trains_the_discriminator_only(
    kind: type, triplets: Path, encoders: Path
) -> None:
    name = "patch" if kind is PatchDiscriminator else "projected"
    task = task_for(settings_for(triplets, **EVERY_LOSS, **ALL_KINDS, discriminator=name), encoders)
    assert isinstance(task.discriminator, kind)
    network, judge = small_light(task), task.discriminator
    assert judge is not None
    batch = batch_of_every_kind(task)
    before = {name: value.clone() for name, value in batch.items()}
    task.losses(network, batch)
    for name, loss in task.discriminator_losses(judge, batch).items():
        assert 0 < sizes_of_gradients(loss, judge) < float("inf"), name
        assert sizes_of_gradients(loss, network) == 0, name
    assert all(torch.equal(batch[name], value) for name, value in before.items())


def test_a_projected_discriminator_judges_the_features_of_the_losses(triplets: Path, encoders: Path) -> None:
    settings = settings_for(
        triplets, adversarial_weight=1.0, discriminator="projected", lower_face_weight=0.0
    )
    task = task_for(settings, encoders)
    pictures = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    before = task.discriminator(pictures).logits  # type: ignore[misc]
    with torch.no_grad():
        task.frozen.features.stem[0].weight.mul_(2)  # type: ignore[union-attr, operator, index]
    after = task.discriminator(pictures).logits  # type: ignore[misc]
    assert not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    with pytest.raises(ReliableSwapError, match="none were given"):
        task_for(dataclasses.replace(settings, perceptual_weight=0.0), encoders)
    with pytest.raises(ReliableSwapError, match="unknown --discriminator 'pixel'"):
        task_for(dataclasses.replace(settings, discriminator="pixel"), encoders)
