"""Random degradations and random pictures."""

from __future__ import annotations

import numpy as np
import pytest
from support.people import portrait

from reliableswap.imaging.degrade import degrade, occlude, random_texture


@pytest.mark.parametrize("seed", range(8))
def test_a_degraded_picture_keeps_its_shape_and_follows_from_the_seed(seed: int) -> None:
    picture = portrait(1, 96)
    before = picture.copy()
    one, same = (degrade(picture, np.random.default_rng(seed), 1.5) for _ in range(2))
    assert one.shape == picture.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, same)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("seed", range(8))
def test_an_occlusion_covers_a_part_of_the_box(seed: int) -> None:
    picture = portrait(1, 96)
    covered = picture.copy()
    occlude(covered, np.array([10.0, 10.0, 60.0, 60.0]), np.random.default_rng(seed))
    assert 0 < (covered != picture).any(2).mean() < 0.4


def test_textures_are_pictures_of_many_kinds() -> None:
    pictures = [random_texture(np.random.default_rng(seed), 48) for seed in range(12)]
    assert all(picture.shape == (48, 48, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 12
