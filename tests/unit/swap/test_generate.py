"""What a generator is given: the crop's size, and a texture whose weight falls to zero where the face's mesh ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.blend_faces import SMILE, face
from support.evaluation_people import mesh_of

from reliableswap.geometry.regions import oval
from reliableswap.models.layer_maps import CHANNELS, INVALID, SIDE, SIZES
from reliableswap.models.layers import compose
from reliableswap.swap.guidance import _fading_outwards
from reliableswap.swap.networks import Networks
from reliableswap.swap.place import CropPlace
from reliableswap.swap.steps.cover import _decided
from reliableswap.swap.steps.crop import enlarged
from reliableswap.swap.subject import Subject


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    mesh = mesh_of().copy()
    mesh[:, :2] -= mesh[:, :2].min(0)
    return mesh * (0.8 * SIDE / np.ptp(mesh[:, 1])) + np.float32(0.1 * SIDE)


def test_the_texture_fades_towards_the_outline(mesh: np.ndarray) -> None:
    factor = _fading_outwards(mesh, (SIDE, SIDE))
    inside = oval(mesh, (SIDE, SIDE)) > 0.5
    centre = mesh[:, :2].mean(0).astype(int)
    assert factor[centre[1], centre[0]] == pytest.approx(1)
    assert factor[~inside].max() < 0.8
    assert factor[0, 0] == pytest.approx(0, abs=1e-6)
    assert 0.02 < ((factor > 0.05) & (factor < 0.95) & inside).sum() / inside.sum() < 0.3


def test_a_layered_generator_shows_the_texture_in_this_share(mesh: np.ndarray) -> None:
    """White texture over a black target, equal scores: the weight of the texture is share / (share + 1)."""
    factor = torch.from_numpy(_fading_outwards(mesh, (SIDE, SIDE)))
    maps = torch.zeros(1, CHANNELS, SIDE, SIDE)
    maps[:, 2] = -30  # nothing is drawn
    guidance = torch.cat([torch.ones(1, 3, SIDE, SIDE), factor[None, None]], 1)
    black = -torch.ones(1, 3, SIDE, SIDE)
    _, weights = compose(black, maps, black, guidance)
    share = torch.exp(INVALID * (factor - 1))
    torch.testing.assert_close(weights[0, 0], share / (share + 1), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("layers", "height", "quick", "size"),
    [
        (True, 80, False, 128),
        (True, 300, False, 256),
        (True, 900, False, 256),
        (True, 300, True, 128),
        (False, 300, True, 512),
    ],
)
def test_the_crop_of_a_layered_generator_need_not_hold_fine_detail(
    layers: bool, height: int, quick: bool, size: int
) -> None:
    picture, mesh = face(SMILE)
    scale = height / np.ptp(mesh[:, 1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale)
    subject = Subject.of_crop(picture, mesh * np.float32(scale), Networks())
    generator: Any = SimpleNamespace(
        sizes=SIZES, config={"template": "arcface_128", "sizes": list(SIZES), "layers": layers}
    )
    place = CropPlace.of(subject, generator, quick)
    assert place.size == size
    assert place.holds_all_detail == (not layers or height == 80)


def test_mask_probabilities_are_sharpened() -> None:
    decided = _decided(np.array([[0, 0.25, 0.5, 0.75, 1]], np.float32))
    assert decided[0] == pytest.approx([0, 0.036, 0.5, 0.964, 1], abs=1e-3)


def test_a_picture_of_the_crop_lies_at_the_same_place_whatever_its_size() -> None:
    picture, mesh = face(SMILE)
    scale = 300 / np.ptp(mesh[:, 1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale)
    subject = Subject.of_crop(picture, mesh * np.float32(scale), Networks())
    generator = SimpleNamespace(
        sizes=list(SIZES), config={"template": "arcface_128", "sizes": list(SIZES), "layers": True}
    )
    place = CropPlace.of(subject, generator)
    job: Any = SimpleNamespace(crop=place, quick=True)
    rows, columns = np.mgrid[: place.size, : place.size].astype(np.float32) / place.size
    large = np.sin(4 * rows) * np.cos(5 * columns)
    small = cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    one, other = enlarged(job, large), enlarged(job, small)
    inside = enlarged(job, np.ones_like(large)) == 1
    inside &= enlarged(job, np.ones_like(small)) == 1
    assert inside.mean() > 0.7
    assert np.abs(one - other)[inside].max() < 0.005
