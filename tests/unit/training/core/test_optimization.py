"""Steps, learning rates and averaged weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy_training import toy_network, toy_settings

from reliableswap.errors import ReliableSwapError
from reliableswap.training.core.optimization import (
    Stepper,
    make_average,
    make_optimizers,
    make_schedulers,
    tensors_of,
)

HUGE = float("inf")


def two_weights() -> tuple[list[torch.nn.Parameter], list[torch.optim.Optimizer]]:
    weights = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    return weights, [torch.optim.SGD([weight], lr=1.0) for weight in weights]


@pytest.mark.parametrize("half", [False, True])
def test_each_optimizer_is_clipped_and_unscaled_by_itself(half: bool) -> None:
    """Accelerate's wrappers share one scaler, and would unscale the second optimizer's gradients twice."""
    weights, optimizers = two_weights()
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0) if half else None
    for weight, gradient in zip(weights, ([0.1, 0.0, 0.0], [30.0, 40.0, 0.0]), strict=True):
        loss = (weight * torch.tensor(gradient)).sum()
        (scaler.scale(loss) if scaler else loss).backward()
    assert Stepper(optimizers, 5.0, scaler)({})
    assert weights[0].tolist() == pytest.approx([-0.1, 0, 0])
    assert weights[1].tolist() == pytest.approx([-3, -4, 0])
    assert all(weight.grad is None for weight in weights)


def test_an_overflow_in_fp16_skips_one_step_only() -> None:
    weights, optimizers = two_weights()
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    stepper = Stepper(optimizers, 5.0, scaler)
    scaler.scale(weights[0].sum()).backward()
    weights[0].grad[0] = HUGE
    assert not stepper({"l1": torch.tensor(HUGE)})
    assert weights[0].tolist() == [0, 0, 0]
    assert scaler.get_scale() < 65536
    scaler.scale(weights[0].sum()).backward()
    assert stepper({})
    assert weights[0].tolist() == [-1, -1, -1]
    stepper.check()
    assert stepper.skipped == 0


def test_overflow_in_many_steps_in_a_row_stops_the_run() -> None:
    weights, optimizers = two_weights()
    stepper = Stepper(optimizers, 5.0, torch.amp.GradScaler("cpu"))
    for _ in range(Stepper.MAX_SKIPPED - 1):
        stepper.scaler.scale(weights[0].sum()).backward()
        weights[0].grad[0] = HUGE
        assert not stepper({})
    stepper.check()
    stepper.scaler.scale(weights[0].sum()).backward()
    weights[0].grad[0] = HUGE
    assert not stepper({"l1": torch.tensor(HUGE)})
    with pytest.raises(ReliableSwapError, match=r"30 steps in a row.*l1 inf.*lower --learning_rate"):
        stepper.check()


def test_without_a_scaler_the_first_overflow_stops_the_run_at_the_next_check() -> None:
    weights, optimizers = two_weights()
    stepper = Stepper(optimizers, 5.0, None)
    for step, (size, value) in enumerate(((1.0, 0.5), (HUGE, float("nan")), (1.0, 0.25)), start=7):
        weights[0].grad = torch.full((3,), size)
        stepper({"l1": torch.tensor(value)}, step)
    with pytest.raises(
        ReliableSwapError, match="step 8: gradients are not finite; losses: l1 nan; lower --learning_rate"
    ):
        stepper.check()


def rates(first: int, last: int, output: Path, **settings: Any) -> list[float]:
    """The learning rates of the steps of a run that starts at `first`."""
    chosen = toy_settings(output, learning_rate=2.0, max_train_steps=110, lr_warmup_steps=10, **settings)
    optimizers = make_optimizers(toy_network(), [], None, chosen)
    (scheduler,) = make_schedulers(optimizers.values(), chosen, first)
    found = []
    for _ in range(first, last):
        found.append(optimizers["optimizer"].param_groups[0]["lr"])
        optimizers["optimizer"].step()
        scheduler.step()
    return found


def test_the_rate_rises_falls_and_ends_at_zero(tmp_path: Path) -> None:
    found = rates(0, 111, tmp_path)
    assert found[:11] == pytest.approx([0.2 * step for step in range(11)])
    assert found[60] == pytest.approx(1.0)
    assert found[110] == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["cosine", "linear", "constant_with_warmup", "constant", "polynomial"])
def test_a_resumed_schedule_goes_on_where_it_was(name: Any, tmp_path: Path) -> None:
    for first in (1, 5, 60):
        assert (
            rates(first, 100, tmp_path, lr_scheduler=name)
            == rates(0, 100, tmp_path, lr_scheduler=name)[first:]
        )


def test_the_discriminator_has_its_own_rate_and_no_weight_decay(tmp_path: Path) -> None:
    settings = toy_settings(tmp_path, weight_decay=0.1)
    settings.discr_learning_rate = 0.25  # type: ignore[attr-defined]
    optimizers = make_optimizers(toy_network(), [], toy_network(), settings)
    groups = {name: one.param_groups for name, one in optimizers.items()}
    assert [group["lr"] for group in groups["discr_optimizer"]] == [0.25, 0.25]
    assert [group["weight_decay"] for group in groups["discr_optimizer"]] == [0, 0]
    assert [group["weight_decay"] for group in groups["optimizer"]] == [0.1, 0]  # none for vectors
    assert all(p.ndim == 1 for p in groups["optimizer"][1]["params"])


def test_the_average_is_quick_at_first_and_copies_buffers() -> None:
    network = toy_network(batch_norm=True)
    averaged = copy.deepcopy(network)
    before = averaged.last.bias.detach().clone()
    with torch.no_grad():
        network.last.bias.add_(1.0)
        network.norm.running_mean.add_(5.0)
    average = make_average(network, averaged, 0.9, step=10)
    average.step(tensors_of(network))
    assert torch.allclose(averaged.last.bias, before + 1 - 11 / 20)  # decay (1 + 10) / (10 + 10)
    assert torch.equal(averaged.norm.running_mean, network.norm.running_mean)
    later = make_average(network, averaged, 0.9, step=10_000)
    before = averaged.last.bias.detach().clone()
    later.step(tensors_of(network))
    assert torch.allclose(averaged.last.bias, torch.lerp(before, network.last.bias, 0.1))
