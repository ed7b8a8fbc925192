"""Each loss by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reliableswap.training.tasks.generator import losses


def test_a_mean_is_over_the_chosen_samples_only() -> None:
    values, chosen = torch.tensor([1.0, 10.0, 3.0]), torch.tensor([1.0, 0.0, 1.0])
    assert float(losses.mean_over(values, chosen)) == pytest.approx(2.0)
    nobody = losses.mean_over(values.requires_grad_(), torch.zeros(3))
    assert float(nobody.detach()) == 0
    nobody.backward()
    assert float(values.grad.abs().sum()) == 0


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        (losses.l1_loss, (torch.ones(2, 1, 8, 8),)),
        (losses.gradient_loss, (torch.ones(2, 1, 8, 8),)),
        (losses.colour_loss, (torch.ones(2, 1, 8, 8),)),
        (losses.chroma_loss, (torch.ones(2, 1, 8, 8), 8)),
    ],
)
def test_pixel_losses_are_zero_for_equals_and_grow_with_the_error(loss: Any, arguments: tuple) -> None:
    truth = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5
    nothing, little, much = (loss(truth + f * noise, truth, *arguments) for f in (0.0, 0.1, 1.0))
    assert nothing.shape == (2,)
    assert float(nothing.abs().max()) < 1e-6
    assert bool((little > 1e-4).all() and (much > 5 * little).all())


def test_gaze_depends_on_the_pattern_and_not_on_colour_or_light() -> None:
    eye = torch.zeros(1, 2, 6, 12)
    eye[..., 4:7] = -1
    moved = eye.roll(3, dims=3)
    assert float(losses.gaze_loss(0.5 * eye + 0.2, eye)) < 0.02
    assert float(losses.gaze_loss(moved, eye)) > 0.5


def test_identity_losses_are_cosines_of_vectors_of_any_length(rng: np.random.Generator) -> None:
    one, other = torch.from_numpy(rng.normal(size=(2, 5, 16)).astype(np.float32))
    same = losses.identity_loss(3 * one, one)
    assert same.abs().max() < 1e-5
    assert torch.allclose(losses.identity_loss(one, other), losses.identity_loss(one, 7 * other), atol=1e-5)
