"""A training step never waits for the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.generator_tasks import ALL_KINDS, EVERY_LOSS, settings_for, small_light, task_for
from support.sync_watch import waits
from torch import Tensor

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.trainer import Trainer


@pytest.mark.parametrize(
    "wait",
    [
        float,
        bool,
        math.isfinite,
        torch.nonzero,
        Tensor.tolist,
        Tensor.cpu,
        torch.linalg.svd,
        lambda loss: loss[loss > 0],
        lambda loss: torch.tensor([1.0], device=loss.device),
    ],
)
def test_what_waits_is_noticed(wait: Callable[[Tensor], Any]) -> None:
    loss = torch.ones(1, 1) if wait is torch.linalg.svd else torch.ones(1)
    with waits() as found:
        wait(loss)
    assert found
    with waits() as found:
        (loss * 2).sum().clamp(min=0)
    assert not found


@pytest.fixture
def trainer(triplets: Path, encoders: Path, tmp_path: Path) -> Trainer:
    """A generator with every loss, a discriminator, and everything that a sample may have."""
    settings = settings_for(
        triplets, **EVERY_LOSS, **ALL_KINDS, output_dir=tmp_path, fixer=encoders / "fixer", occluded=0.5, light=0.5,
        painted_glasses=0.5, validation_pairs=0, proxy_beta=1.0,
    )  # fmt: skip
    task = task_for(settings, encoders)
    return Trainer(small_light(task), task, settings)


def batches_for(trainer: Trainer) -> list[dict[str, Tensor]]:
    task = trainer.task
    return [task.collate([task.dataset[i] for i in range(first, first + 5)]) for first in (0, 5)]


@pytest.mark.slow
def test_a_step_of_a_generator_with_every_loss_does_not_wait(trainer: Trainer) -> None:
    batches = iter(batches_for(trainer))
    trainer.task.start(0, trainer.accelerator.device)
    trainer._step(batches)  # copies constants to the device
    with waits() as found:
        losses, finite = trainer._step(batches)
        trainer.log.add(1, losses, finite)
    assert not found
    trainer.stepper.check()
    assert float(finite) == 1
    assert len(losses) >= 16


@pytest.mark.slow
def test_what_is_not_finite_is_found_before_it_is_saved(trainer: Trainer) -> None:
    batches = batches_for(trainer)
    batches[0]["colours"][:] = math.nan
    trainer.task.start(0, trainer.accelerator.device)
    _, finite = trainer._step(iter(batches))
    assert float(finite) == 0
    trainer.step = 1
    with pytest.raises(ReliableSwapError, match=r"step 0: gradients are not finite; losses: .*nan"):
        trainer._save()
    assert not list(trainer.settings.output_dir.glob("checkpoint-*"))
