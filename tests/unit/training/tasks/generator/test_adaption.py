"""The adaptions from CSCS in training: an adapter that learns, proxy identity losses, alternating batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.generator_tasks import ALL_KINDS, EVERY_LOSS, SMALL, batch_of, settings_for, task_for
from torch import Tensor, nn

from reliableswap.data.mix import KINDS, Mix
from reliableswap.errors import ReliableSwapError
from reliableswap.models import LightGenerator
from reliableswap.training.tasks.generator.build import build_generator
from reliableswap.training.tasks.generator.losses import proxy_fit

NO_LOSS = dict.fromkeys(EVERY_LOSS, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("join", ["add", "concat", "replace"])
def test_the_adapter_learns_and_the_frozen_encoder_judges(triplets: Path, encoders: Path, join: Any) -> None:
    values: dict[str, Any] = {
        **NO_LOSS,
        **ALL_KINDS,
        "identity_weight": 1.0,
        "adapter": join,
        "identity_jitter": 0.0,
    }
    settings = settings_for(triplets, **values, validation_pairs=0)
    task = task_for(settings, encoders)
    network: Any = build_generator(settings, task.networks.identity, task.networks.fixer, task.sizes, 10.0)
    batch = batch_of(task, range(3))
    frozen = {name: value.clone() for name, value in task.frozen.state_dict().items()}
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-2)
    before = {name: p.clone() for name, p in network.adapter.named_parameters()}
    for _ in range(2):
        optimiser.zero_grad()
        sum(task.losses(network, batch).values()).backward()
        optimiser.step()
    moved = {name for name, p in network.adapter.named_parameters() if not torch.equal(p, before[name])}
    assert moved > {"last.weight", "last.bias"}
    assert any(name.startswith("trunk.") for name in moved)
    assert all(torch.equal(value, task.frozen.state_dict()[name]) for name, value in frozen.items())


def test_a_proxy_identity_is_weighted_by_its_sources_similarity_to_the_truth() -> None:
    truth = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    source = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0], [0.6, 0.8]], requires_grad=True)
    known = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert torch.allclose(proxy_fit(source, truth, known, 2.0), torch.tensor([1.0, 0.36, 0.0, 1.0]))
    assert torch.equal(proxy_fit(source, truth, known, 0.0), torch.ones(4))
    assert not proxy_fit(source, truth, known, 2.0).requires_grad


@pytest.mark.slow
def test_the_proxy_exponent_changes_the_identity_loss_of_truths_alone(triplets: Path, encoders: Path) -> None:
    class Colours(nn.Module):
        """Tells people apart by the colours of their pictures."""

        embedding_size = 3

        def forward(self, pictures: Tensor) -> Tensor:
            return nn.functional.normalize(pictures.mean((2, 3)))

    def loss(beta: float, kind: str) -> float:
        shares = dict.fromkeys(ALL_KINDS, 0.0) | {f"{kind}_share": 1.0}
        values = {**NO_LOSS, **shares, "identity_weight": 1.0, "identity_jitter": 0.0, "proxy_beta": beta}
        settings = settings_for(triplets, **values, validation_pairs=0)
        task = task_for(settings, encoders)
        torch.manual_seed(0)
        task.frozen.identity, task.frozen.fixer = Colours(), None
        network = LightGenerator(channels=SMALL, block_count=1, identity_dim=3)
        batch = batch_of(task, range(3))
        return float(task.losses(network, batch)["identity"].detach())

    assert loss(4.0, "surrogate_source") < loss(0.0, "surrogate_source")
    assert loss(4.0, "vanilla") == loss(0.0, "vanilla")


def test_batches_alternate_between_samples_without_and_with_a_truth(triplets: Path, encoders: Path) -> None:
    task = task_for(settings_for(triplets, alternate=True, train_batch_size=3, validation_pairs=0), encoders)
    truths = np.array([float(task.samples[i]["has_truth"]) for i in range(12)]).reshape(4, 3)
    assert truths.tolist() == [[0.0] * 3, [1.0] * 3] * 2
    with pytest.raises(ReliableSwapError, match="with and without a truth"):
        task_for(settings_for(triplets, alternate=True, vanilla_share=0.0), encoders)
    rng = np.random.default_rng(0)
    assert {Mix().draw(rng, truth=False) for _ in range(20)} == {"vanilla"}
    assert {Mix().draw(rng, truth=True) for _ in range(60)} == {"cycle", "real_source", "reconstruction"}
    assert set(KINDS) >= {Mix().draw(rng) for _ in range(60)} >= {"cycle", "vanilla"}
