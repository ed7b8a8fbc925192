"""Coarse colours: lightness and fine detail stay, and light comes from the target."""

from __future__ import annotations

import torch

from reliableswap.models.colours import expected_colours, with_coarse_colours


def test_coarse_colours_change_and_lightness_stays() -> None:
    lightness = torch.rand(1, 1, 16, 16).repeat_interleave(8, 2).repeat_interleave(8, 3) * 0.2 + 0.5
    made = lightness * torch.tensor([0.95, 1.0, 1.1]).view(1, 3, 1, 1) - 1
    warm = torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1, 1).expand(1, 3, 128, 128) - 1
    result = with_coarse_colours(made, warm, 16) + 1
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert ((result - made - 1) * luma).sum(1).abs().max() < 1e-5
    share, goal = ((one * luma / (one * luma).sum()).sum((0, 2, 3)) for one in (result, warm + 1))
    assert torch.allclose(share, goal, atol=0.01)
    # Colour detail finer than a cell stays the made face's.
    chequered = made + 0.05 * torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1) * (
        (torch.arange(128) // 2) % 2 * 2 - 1
    )
    kept = with_coarse_colours(chequered, warm, 16) - with_coarse_colours(made, warm, 16)
    assert (kept - (chequered - made)).abs().max() < 0.01


def test_expected_colours_are_the_guidances_in_the_targets_light() -> None:
    target = torch.tensor([0.6, 0.1, -0.4]).view(1, 3, 1, 1).expand(1, 3, 64, 64).clone()
    target[..., 32:] -= 0.3  # a lamp from the left
    texture = torch.zeros(1, 3, 64, 64)
    texture[:, 0, 30:34, 8:56] = 0.4  # lips
    valid = torch.zeros(1, 1, 64, 64)
    valid[..., 8:56, 8:56] = 1
    found = expected_colours(target, torch.cat([texture, valid], 1))
    assert torch.equal(found[..., :8], target[..., :8])
    assert (found - target)[:, :, 12:18, 12:18].abs().max() < 0.1
    lips = (found - target)[:, :, 30:34, 14:26].mean((0, 2, 3))
    assert lips[0] > 0.25
    assert lips[1:].abs().max() < 0.1
    assert torch.equal(expected_colours(target, None), target)
