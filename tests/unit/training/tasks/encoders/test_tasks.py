"""The encoders' tasks: each loss moves the network, and an encoder can start from another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reliableswap.data.crops import Crops
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.training.tasks.encoders.fixer import FixerSettings, FixerTask, student, window_kernel
from reliableswap.training.tasks.encoders.identity import IdentitySettings, IdentityTask


def batch_of(task: IdentityTask | FixerTask, size: int = 6) -> dict[str, torch.Tensor]:
    batch: dict[str, torch.Tensor] = torch.utils.data.default_collate([task.dataset[i] for i in range(size)])
    return batch


@pytest.mark.parametrize("kind", ["cosine", "relation"])
def test_each_identity_loss_moves_the_network(crops: Crops, features: np.ndarray, kind: str) -> None:
    network = IdentityEncoder(embedding_size=16)
    task = IdentityTask(IdentitySettings(), crops, features)
    batch = batch_of(task)
    before = {name: value.clone() for name, value in batch.items()}
    task.losses(network, batch)[kind].backward()
    first = network.trunk.conv1[0].weight.grad
    assert torch.isfinite(first).all()
    assert first.abs().max() > 0
    assert all(torch.equal(before[name], batch[name]) for name in before)


@pytest.mark.parametrize("kind", ["margin", "distil", "relation"])
def test_each_fixer_loss_moves_the_network(crops: Crops, features: np.ndarray, kind: str) -> None:
    network = FixerNet(embedding_size=16)
    task = FixerTask(FixerSettings(embedding_size=16), crops, features)
    task.losses(network, batch_of(task))[kind].backward()
    first = network.trunk.conv1[0].weight.grad
    assert torch.isfinite(first).all()
    assert first.abs().max() > 0
    moved = task.companions["head"].centres.grad
    assert (moved is not None and bool(moved.abs().max() > 0)) == (kind == "margin")


def test_a_fixer_of_any_length_learns_a_cosine(crops: Crops, features: np.ndarray) -> None:
    settings = FixerSettings(embedding_size=16, margin_weight=0, relation_weight=0)
    task = FixerTask(settings, crops, features)
    batch = batch_of(task)
    wanted = batch["features"]
    for length in (1.0, 5.0):
        answer = torch.nn.Module()
        answer.forward = lambda _, length=length: length * wanted  # type: ignore[method-assign]
        assert abs(float(task.losses(answer, batch)["distil"])) < 1e-3


def test_margin_alone_and_distillation_alone(crops: Crops, features: np.ndarray) -> None:
    alone = FixerTask(FixerSettings(embedding_size=16, distil_weight=0), crops, None)
    assert set(alone.losses(FixerNet(embedding_size=16), batch_of(alone))) == {"margin"}
    labels = {int(alone.dataset[i]["label"]) for i in range(60)}
    assert labels == {0, 1, 2}
    told = FixerTask(FixerSettings(embedding_size=16, margin_weight=0), crops, features)
    assert set(told.losses(FixerNet(embedding_size=16), batch_of(told))) == {"distil", "relation"}
    assert not told.companions
    assert "teacher_accuracy_window" not in alone.teacher_figures


def test_the_margin_grows(crops: Crops) -> None:
    task = FixerTask(FixerSettings(embedding_size=16, margin_warmup_steps=100), crops, None)
    margins = []
    for step in (0, 50, 100, 5000):
        task.start(step, torch.device("cpu"))
        margins.append(task.margin)
    assert margins == [0.0, 0.25, 0.5, 0.5]


def test_a_fixer_begins_as_the_identity_encoder_sees_the_window(teacher: Path) -> None:
    kernel = torch.arange(49.0).reshape(1, 1, 7, 7)  # linear, so that values between its cells are known
    found = window_kernel(kernel, 4)[0, 0]
    assert float(found[0, 0]) == pytest.approx(3.5 * 7 + 1.75)
    assert float(found[2, 3]) == pytest.approx(5.5 * 7 + 4.75)
    assert float(found[3, 0]) == pytest.approx(6 * 7 + 1.75)  # the last row has no cell below it
    network = student(FixerSettings(embedding_size=16, initial=teacher))
    first = IdentityEncoder.from_pretrained(teacher)
    assert torch.equal(network.trunk.conv2[0].weight, first.trunk.conv2[0].weight)
    # Far from the borders both see the same at the same place: cell 5 of the window's rows is 8.5 of the crop's.
    crop = torch.rand(1, 3, 112, 112) * 2 - 1
    network.eval(), first.eval()
    with torch.inference_mode():
        inner = network.trunk.conv1(crop[:, :, 56:, 28:84])
        outer = first.trunk.conv1(crop)[:, :, 28:, 14:42]
    assert torch.allclose(inner[:, :, 2:-2, 2:-2], outer[:, :, 2:-2, 2:-2], atol=1e-5)


def test_other_crops_or_another_teacher_are_noticed_on_resume(crops: Crops, features: np.ndarray) -> None:
    ours = IdentityTask(IdentitySettings(), crops, features).fingerprint()
    assert ours == IdentityTask(IdentitySettings(), crops, features.copy()).fingerprint()
    assert ours["teacher"] != IdentityTask(IdentitySettings(), crops, -features).fingerprint()["teacher"]
    fixer = FixerTask(FixerSettings(embedding_size=16), crops, features).fingerprint()
    assert fixer == ours
