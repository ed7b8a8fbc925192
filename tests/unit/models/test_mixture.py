"""Mixtures: the maps of layers, applied to pictures other than the crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from reliableswap.models.layer_maps import CHANNELS, SCORES
from reliableswap.models.layers import compose, enlarged, lean_towards_texture
from reliableswap.models.mixture import Mixture, mixture


def inputs(size: int, flow: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A drawn picture (3,128,128), its maps, a target (S,S,3) uint8, and guidance (4,S,S) valid on the left half."""
    generator = torch.Generator().manual_seed(0)
    drawn = (0.4 * torch.rand(3, 128, 128, generator=generator) - 0.2).numpy()  # nothing is clipped
    maps = torch.randn(CHANNELS, 128, 128, generator=generator).numpy()
    maps[SCORES : SCORES + 2] *= flow
    maps[SCORES + 2 : SCORES + 4] = 0  # the flow of the target, which a mixture leaves out
    target = torch.randint(108, 148, (size, size, 3), generator=generator, dtype=torch.uint8).numpy()
    texture = 0.4 * torch.rand(3, size, size, generator=generator).numpy() - 0.2
    valid = np.zeros((1, size, size), np.float32)
    valid[..., : size // 2] = 0.9
    return drawn, maps, target, np.concatenate([texture, valid])


def composed(
    drawn: np.ndarray, maps: np.ndarray, target: np.ndarray, guidance: np.ndarray, lean: float | None
) -> np.ndarray:
    """(S,S,3) in 0..255, from `layers.compose` with the same inputs."""

    def batch(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))[None]

    answer = batch(maps)
    if lean:
        answer = lean_towards_texture(answer, lean)
    seen = batch(target.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)
    image, _ = compose(batch(drawn), answer, seen, batch(guidance))
    return image[0].permute(1, 2, 0).numpy() * 127.5 + 127.5


@pytest.mark.parametrize(("size", "lean"), [(128, None), (256, 0.0), (256, 2.0)])
def test_in_the_crop_a_mixture_gives_what_the_layers_give(size: int, lean: float | None) -> None:
    drawn, maps, target, guidance = inputs(size, flow=0)
    rng = np.random.default_rng(0)
    change = rng.normal(0, 20, (size, size, 3)).astype(np.float32)
    made = mixture(drawn, maps, target, guidance, change, lean)
    texture = guidance[:3].transpose(1, 2, 0) * 127.5 + 127.5 - change  # as the source's photo shows it
    result = (
        texture * made.texture[..., None] + target.astype(np.float32) * made.target[..., None] + made.rest
    )
    wanted = composed(drawn, maps, target, guidance, lean)
    assert np.abs(wanted - target).mean() > 5
    np.testing.assert_allclose(result, wanted, atol=0.1)
    np.testing.assert_allclose(made.picture, wanted, atol=0.1)


def test_the_picture_follows_the_flow() -> None:
    given = inputs(256, flow=1)
    change = np.zeros((256, 256, 3), np.float32)
    still = mixture(*inputs(256, flow=0), change, 2.0)
    made = mixture(*given, change, 2.0)
    wanted = composed(*given, 2.0)
    assert np.abs(still.picture - wanted).mean() > 1
    np.testing.assert_allclose(made.picture, wanted, atol=0.5)
    assert np.abs(made.flow).max() <= 0.03


def only(layer: int) -> Mixture:
    """The mixture of maps that show one layer alone."""
    drawn, maps, target, guidance = inputs(256, flow=0)
    maps[:] = 0
    maps[:SCORES], maps[-2:] = -30, -30
    maps[layer] = 30
    return mixture(drawn, maps, target, guidance, np.full((256, 256, 3), 5, np.float32), 1.0)


def test_each_layer_is_a_term() -> None:
    left = (slice(None), slice(0, 120))
    texture, target, drawn = map(only, range(3))
    assert texture.texture[left].min() > 0.99
    assert np.abs(texture.rest[left] - 5).max() < 0.1  # the tone
    assert target.target.min() > 0.99
    assert np.abs(target.rest).max() < 0.1
    assert max(drawn.texture.max(), drawn.target.max()) < 0.01
    picture = enlarged(torch.from_numpy(inputs(256, 0)[0])[None], torch.Size((256, 256)))[0]
    np.testing.assert_allclose(drawn.rest, picture.permute(1, 2, 0) * 127.5 + 127.5, atol=0.5)


def test_a_beard_shows_the_texture_alone() -> None:
    drawn, maps, target, guidance = inputs(256, flow=0)
    change = np.full((256, 256, 3), 5, np.float32)
    made = mixture(drawn, maps, target, guidance, change, 1.0)
    share = np.zeros((256, 256), np.float32)
    share[:, :100] = 1
    shown = made.towards_texture(share, change)
    beard, rest = (slice(None), slice(0, 100)), (slice(None), slice(100, None))
    assert (shown.texture[beard] == 1).all()
    assert (shown.target[beard] == 0).all()
    np.testing.assert_allclose(shown.rest[beard], 5, atol=1e-4)
    for name in ("texture", "target", "rest"):
        np.testing.assert_array_equal(getattr(shown, name)[rest], getattr(made, name)[rest])


def test_the_targets_lips_may_be_kept_in_another_colour() -> None:
    drawn, maps, target, guidance = inputs(256, flow=0)
    made = mixture(drawn, maps, target, guidance, np.full((256, 256, 3), 5, np.float32), 1.0)
    share = np.zeros((256, 256), np.float32)
    share[100:, :] = 1
    kept = made.towards_target(share, target, np.array([3, -2, 1]))
    lips, rest = slice(100, None), slice(0, 100)
    assert (kept.texture[lips] == 0).all()
    assert (kept.target[lips] == 1).all()
    np.testing.assert_allclose(kept.rest[lips], np.broadcast_to([3, -2, 1], (156, 256, 3)))
    np.testing.assert_allclose(kept.picture[lips], target[lips] + np.float32([3, -2, 1]))
    for name in ("texture", "target", "rest"):
        np.testing.assert_array_equal(getattr(kept, name)[rest], getattr(made, name)[rest])


def test_a_texture_is_changed_where_it_shows() -> None:
    given = inputs(256, flow=0)
    rng = np.random.default_rng(0)
    change, more = (rng.normal(0, 5, (256, 256, 3)).astype(np.float32) for _ in range(2))
    plain, wanted = (
        mixture(*given, change, 2.0),
        mixture(*given[:3], shifted(given[3], more), change + more, 2.0),
    )
    made = plain.with_texture_change(more)
    inside = np.abs(made.picture - plain.picture).max(2) > 1
    assert inside.mean() > 0.2
    np.testing.assert_allclose(made.rest, made.picture - plain.picture + plain.rest, atol=1e-3)
    assert np.abs(made.picture - wanted.picture)[inside].mean() < 0.1 * np.abs(more).mean()


def shifted(guidance: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Guidance (4,S,S) whose texture has a change (S,S,3) in levels of 255."""
    return np.concatenate([guidance[:3] + change.transpose(2, 0, 1) / 127.5, guidance[3:]])
