"""Guidance that is corrupted on purpose."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from support.generator_tasks import SIZE

from reliableswap.training.tasks.generator.corruption import CorruptionRates, corrupted, draw_corruption


@pytest.mark.parametrize("kind", [one.name for one in dataclasses.fields(CorruptionRates)])
def test_corruption_degrades_a_copy_of_the_guidance(kind: str, rng: np.random.Generator) -> None:
    guidance = rng.uniform(-1, 1, (4, SIZE, SIZE)).astype(np.float32)
    guidance[3] = 1
    kept = guidance.copy()
    drawn = {name: value[None] for name, value in draw_corruption(kind, SIZE, rng).items()}
    (name,) = drawn
    rows = {f"{name}_rows": torch.tensor([1])}
    both = corrupted(torch.from_numpy(np.stack([guidance, guidance])), {**drawn, **rows}).numpy()
    assert (both[0] == guidance).all()  # another sample of the batch
    made = both[1]
    assert (guidance == kept).all()
    assert made.shape == guidance.shape
    assert np.abs(made[:3]).max() <= 1.001
    assert (made != guidance).mean() > 0.01
    if kind == "missing":
        assert made[3].max() == 0
    elif kind in ("half", "parts"):
        assert 0.02 < (made[3] < 0.5).mean() < 0.9
        assert (made[:3, made[3] == 0] == -1).all()
    else:
        assert (made[3] == 1).all()


def test_kinds_come_as_often_as_their_rates_say(rng: np.random.Generator) -> None:
    drawn = [CorruptionRates().draw(rng) for _ in range(4000)]
    for one in dataclasses.fields(CorruptionRates):
        assert drawn.count(one.name) / 4000 == pytest.approx(one.default, abs=0.02)
