"""Guidance made in PyTorch for a batch agrees with that of a swap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from support.blend_faces import BEARD, OTHER, SMILE, SMILING_MAN, WOMAN, face
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import Covers, find_covers
from reliableswap.geometry.raster import shown_triangles
from reliableswap.geometry.trust import hidden_points
from reliableswap.geometry.warp_torch import warp
from reliableswap.swap.guidance import guidance_texture
from reliableswap.swap.guidance_torch import guidance_textures, target_regions

# Source and target: another tone, another mouth, the same face, a beard.
PAIRS = [(OTHER, WOMAN), (SMILE, WOMAN), (SMILE, SMILE), (BEARD, SMILING_MAN), (WOMAN, BEARD)]


def covers_of(pairs: Sequence[tuple[str, str]], size: int) -> list[Covers]:
    return [find_covers(*face(source, size), bundled_glasses(), strict=True) for source, _ in pairs]


def in_a_batch(pairs: Sequence[tuple[str, str]], covers: Sequence[Covers], size: int) -> Tensor:
    """(B,4,S,S)"""

    def stacked(arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))

    def pictures(names: Sequence[str]) -> Tensor:
        return stacked([face(name, size)[0] for name in names]).permute(0, 3, 1, 2).float()

    sources, targets = zip(*pairs, strict=True)
    source_meshes, meshes = ([face(name, size)[1] for name in names] for names in (sources, targets))
    shown = [torch.from_numpy(shown_triangles(mesh, (size, size))) for mesh in meshes]
    pixels = pad_sequence([(plane.flatten() >= 0).nonzero()[:, 0] for plane in shown], True, size * size)
    texture = warp(
        pictures(sources),
        stacked(source_meshes),
        stacked(meshes),
        pixels,
        pad_sequence([plane.flatten()[plane.flatten() >= 0] for plane in shown], True, -1),
        stacked([np.stack(one.on((size, size))) for one in covers]),
        stacked([hidden_points(mesh).astype(np.float32) for mesh in source_meshes]),
    )
    places = stacked([target_regions(mesh, size) for mesh in meshes])
    return guidance_textures(texture, pictures(targets), stacked(meshes), places, pixels)


@pytest.mark.parametrize("size", [96, 128, 256])
def test_batched_guidance_agrees_with_that_of_a_swap(size: int) -> None:
    covers = covers_of(PAIRS, size)
    made = in_a_batch(PAIRS, covers, size)
    for (source, target), one, cover in zip(PAIRS, made.numpy(), covers, strict=True):
        texture, validity, *_ = guidance_texture(
            *face(source, size), *face(target, size), cover, match_edges=False
        )
        shown = validity > 0.5
        off = np.abs(one[:3].transpose(1, 2, 0) - texture)[shown]
        # Bicubic instead of Lanczos resampling: up to 1.5 levels of 255 on average, more at a few edges.
        assert off.mean() < 1.5
        assert np.quantile(off, 0.99) < 12
        assert np.abs(one[3] - validity).mean() < 0.005
        assert np.quantile(np.abs(one[3] - validity), 0.99) < 0.12


def test_a_sample_does_not_depend_on_its_batch() -> None:
    covers = covers_of(PAIRS, 96)
    together = in_a_batch(PAIRS, covers, 96)
    for number, (pair, cover) in enumerate(zip(PAIRS, covers, strict=True)):
        # The last digit of a power depends on the number's position in a SIMD vector.
        assert torch.allclose(in_a_batch([pair], [cover], 96)[0], together[number], atol=2e-3, rtol=0)
