"""Layers: a generator's maps, applied to pictures of any size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reliableswap.models import LightGenerator
from reliableswap.models.layer_maps import CHANNELS
from reliableswap.models.layers import LayerHead, compose, enlarged, lean_towards_texture, reduced


def inputs(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """A drawn picture (1,3,128,128), a target (1,3,S,S) and guidance (1,4,S,S) that is valid on the left half."""
    generator = torch.Generator().manual_seed(0)
    made, target, texture = (
        torch.rand(1, 3, s, s, generator=generator) * 1.8 - 0.9 for s in (128, size, size)
    )
    valid = torch.zeros(1, 1, size, size)
    valid[..., : size // 2] = 1
    return made, target, torch.cat([texture, valid], 1)


def maps_for(layer: int) -> Tensor:
    """Maps that show one layer alone, unchanged."""
    maps = torch.zeros(1, CHANNELS, 128, 128)
    maps[:, :3] = -30
    maps[:, layer] = 30
    maps[:, -2:] = -30
    return maps


@pytest.mark.parametrize("size", [128, 256, 384])
def test_each_layer_can_show_alone_at_any_size(size: int) -> None:
    made, target, guidance = inputs(size)
    left = (..., slice(0, size // 2 - 2))
    assert torch.allclose(compose(made, maps_for(1), target, guidance)[0], target, atol=1e-4)
    drawn, _ = compose(made, maps_for(2), target, guidance)
    assert torch.allclose(drawn, enlarged(made, target.shape[-2:]), atol=1e-4)
    texture, _ = compose(made, maps_for(0), target, guidance)
    assert torch.allclose(texture[left], guidance[:, :3][left], atol=1e-4)


def test_an_invalid_texture_loses_to_the_others() -> None:
    made, target, guidance = inputs(128)
    _, weights = compose(made, torch.zeros(1, CHANNELS, 128, 128), target, guidance)
    assert torch.allclose(weights.sum(1), torch.ones(1, 128, 128), atol=1e-6)
    assert weights[0, 0, :, :62].mean() == pytest.approx(1 / 3, abs=1e-3)
    assert weights[0, 0, :, 66:].max() < 0.01


def test_fine_detail_of_the_texture_can_be_laid_over_the_drawn_picture() -> None:
    made, target, guidance = inputs(256)
    maps = maps_for(2)
    maps[:, -2] = 30
    sharp, _ = compose(made, maps, target, guidance)
    left = (..., slice(0, 124))
    added = (sharp - enlarged(made, target.shape[-2:]))[left]
    texture = guidance[:, :3]
    fine = (texture - F.interpolate(reduced(texture), scale_factor=2.0, mode="bilinear"))[left]
    inside = (sharp[left].abs() < 1) & (fine.abs() < 0.5)
    assert torch.allclose(added[inside], fine[inside], atol=0.05)


def test_a_new_head_mostly_shows_the_drawn_picture() -> None:
    maps = LayerHead(8)(torch.randn(1, 8, 128, 128))
    made, target, guidance = inputs(128)
    _, weights = compose(made, maps, target, guidance)
    assert weights[:, 2].mean() > 0.6


def test_a_generator_with_layers_takes_weights_without_and_works_at_several_sizes() -> None:
    torch.manual_seed(0)
    settings = {"channels": (8, 8, 8, 8), "block_count": 1, "identity_dim": 16}
    plain, layered = LightGenerator(**settings), LightGenerator(**settings, layers=True, sizes=(128, 256))
    missing = layered.load_state_dict(plain.state_dict(), strict=False)
    assert set(missing.missing_keys) == {"layer_head.weight", "layer_head.bias"}
    for size in (128, 256):
        _, target, guidance = inputs(size)
        output = layered.eval()(target, torch.ones(1, 16), guidance)
        assert output.image.shape == target.shape
        assert output.mask.shape == (1, 1, size, size)
        output.image.mean().backward()
    assert layered.layer_head is not None
    assert layered.layer_head.weight.grad is not None


def test_pictures_in_channels_last_memory_give_the_same() -> None:
    made, target, guidance = inputs(256)
    maps = torch.randn(1, CHANNELS, 128, 128, generator=torch.Generator().manual_seed(1))
    given = [one.contiguous(memory_format=torch.channels_last) for one in (made, maps, target, guidance)]
    for one, other in zip(compose(*given), compose(made, maps, target, guidance), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_an_exported_graph_has_the_layers_of_torch() -> None:
    class Composed(torch.nn.Module):
        def forward(self, *inputs: Tensor) -> Tensor:
            return compose(*inputs)[0]

    made, target, guidance = inputs(256)
    maps = torch.randn(1, CHANNELS, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        graph = torch.export.export(Composed(), (made, maps, target, guidance))
        assert any("grid_sampler" in str(node.target) for node in graph.graph.nodes)
        exported = graph.module()(made, 0.5 * maps, target, guidance)
        assert torch.allclose(exported, compose(made, 0.5 * maps, target, guidance)[0], atol=5e-4)


def test_leaning_towards_a_texture_keeps_its_colours() -> None:
    made, target, guidance = inputs(256)
    maps = maps_for(0)
    maps[:, 7:13] = torch.linspace(-2, 2, 6)[:, None, None]  # gain and bias of each channel
    changed, kept = (
        compose(made, one, target, guidance)[0] for one in (maps, lean_towards_texture(maps, 2.0))
    )
    left = (slice(None), slice(None), slice(None), slice(0, 120))
    assert (changed - guidance[:, :3])[left].abs().max() > 0.3
    torch.testing.assert_close(kept[left], guidance[:, :3][left], rtol=0, atol=1e-3)


def test_a_generator_leans_towards_the_texture_if_photos_are_larger_than_its_input() -> None:
    torch.manual_seed(0)
    settings = {"channels": (8, 8, 8, 8), "block_count": 1, "identity_dim": 16, "layers": True}
    plain = LightGenerator(**settings).eval()
    leant = LightGenerator(**settings, lean=2.0).eval()
    leant.load_state_dict(plain.state_dict())
    for size, leans in ((128, False), (256, True)):
        _, target, guidance = inputs(size)
        with torch.no_grad():
            before, after = (one(target, torch.ones(1, 16), guidance).layers for one in (plain, leant))
        left = (0, 0, slice(None), slice(0, size // 2 - 2))
        odds = [layers[left] / (1 - layers[left]) for layers in (before, after)]
        torch.testing.assert_close(
            odds[1] / odds[0], torch.full_like(odds[0], 7.389 if leans else 1.0), rtol=0.02, atol=0
        )
