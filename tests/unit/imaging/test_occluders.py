"""Occluders: what is pasted in front of faces in training pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.imaging.light import Light
from reliableswap.imaging.occluders import Occluder, Occluders, paste


@pytest.fixture(scope="module")
def face() -> tuple[np.ndarray, np.ndarray]:
    """(128,128,3) a flat picture with an oval mesh in its middle."""
    turn = np.linspace(0, 2 * np.pi, 468)
    radius = np.linspace(0, 40, 468)
    mesh = np.stack([64 + radius * np.cos(9 * turn), 64 + radius * np.sin(9 * turn), 0 * turn], 1)
    return np.full((128, 128, 3), (190, 150, 130), np.uint8), mesh.astype(np.float32)


def test_paste_shows_the_occluder_where_it_is_opaque_and_darkens_around_it(
    face: tuple[np.ndarray, np.ndarray],
) -> None:
    picture, _ = face
    opacity = np.zeros((128, 128), np.float32)
    opacity[40:60, 40:60] = 1
    occluder = Occluder(np.full_like(picture, 30), opacity)
    made = occluder.cast(0.5, (0.0, 4.0)).over(picture)
    assert (made[40:60, 40:60] == 30).all()
    assert made[62, 50].mean() < picture[62, 50].mean() - 20
    assert np.array_equal(made[100:], picture[100:])
    assert np.array_equal(
        paste(picture, occluder, np.random.default_rng(1)), paste(picture, occluder, np.random.default_rng(1))
    )


def test_every_kind_is_drawn_from_the_seed_alone(face: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    cutout = np.full((40, 30, 4), 200, np.uint8)
    for name in ("hands/a.webp", "hair/b.webp", "masks/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), cutout)
    occluders = Occluders(tmp_path)
    assert [name for name, _ in occluders.cutouts] == ["hair/b.webp", "hands/a.webp", "masks/c.png"]
    covered = []
    for seed in range(40):
        one = occluders.draw(*face, np.random.default_rng(seed))
        again = occluders.draw(*face, np.random.default_rng(seed))
        assert one.picture.shape == (128, 128, 3)
        assert np.array_equal(one.picture, again.picture)
        assert np.array_equal(one.opacity, again.opacity)
        assert 0 <= one.opacity.min() <= one.opacity.max() <= 1
        covered.append(float((one.opacity > 0.5).mean()))
    assert np.median(covered) > 0.01
    assert max(covered) < 0.8


def test_a_folder_without_cutouts_is_an_error(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "opaque.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ReliableSwapError, match=r"no \.png or \.webp pictures with an alpha channel"):
        Occluders(tmp_path)


def test_light_does_not_depend_on_the_pictures_size() -> None:
    light = Light.draw(np.random.default_rng(3))
    small, large = light(np.full((64, 64, 3), 120, np.uint8)), light(np.full((256, 256, 3), 120, np.uint8))
    reduced = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - small).mean() < 1.5
    assert small.std() > 3
