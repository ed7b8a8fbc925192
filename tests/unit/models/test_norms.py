"""Modulated instance norm: its accuracy in half precision, and its gradient."""

from __future__ import annotations

import pytest
import torch

from reliableswap.models.norms import modulated_norm, per_channel_norm


def test_per_channel_norm_survives_large_means_in_half_precision() -> None:
    x = torch.randn(2, 3, 16, 16) + torch.tensor([0.0, 10.0, 100.0]).view(1, 3, 1, 1)
    normed = per_channel_norm(x, eps=1e-5)
    assert normed.mean((2, 3)).abs().max() < 1e-4
    assert normed.var((2, 3), correction=0).sub(1).abs().max() < 1e-3
    half = per_channel_norm(x.bfloat16(), eps=1e-5)
    assert half.dtype == torch.bfloat16
    assert torch.isfinite(half).all()
    assert (half.float().var((2, 3), correction=0) - 1).abs().max() < 0.05


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_modulated_norm_has_the_gradient_of_its_parts(kind: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    x, scale, shift, weight = draw(2, 4, 9, 7) * 2 + 5, draw(2, 4), draw(2, 4), draw(2, 4, 9, 7)
    exact = [one.double().requires_grad_() for one in (x, scale, shift)]
    plain = torch.nn.functional.instance_norm(exact[0], eps=1e-5)
    answer = plain * (exact[1] + 1)[..., None, None] + exact[2][..., None, None]
    wanted = torch.autograd.grad((answer * weight).sum(), exact)
    given = [one.to(kind).requires_grad_() for one in (x, scale, shift)]
    ours = modulated_norm(*given, eps=1e-5)
    found = torch.autograd.grad((ours.float() * weight).sum(), given)
    tolerance = 1e-5 if kind == torch.float32 else 0.05
    assert ours.dtype == kind
    assert (ours - answer).abs().max() < tolerance * answer.abs().max()
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == kind
        assert (one - other).abs().max() < tolerance * other.abs().max()
    with torch.no_grad():
        assert (modulated_norm(*given, eps=1e-5) - ours).abs().max() < tolerance * answer.abs().max()
