"""Face shape: proportions of the source on the target, and pictures that follow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.blend_faces import BEARD, SMILE, WOMAN, face

from reliableswap.geometry import regions
from reliableswap.geometry.resampling import interpolation_for
from reliableswap.geometry.shape import (
    MIN_MOVE,
    displacement,
    moved_share,
    origins,
    reshape,
    shaped_mesh,
    snap_to_pixels,
)


def test_no_strength_leaves_mesh_and_picture_as_they_are() -> None:
    picture, mesh = face(WOMAN)
    goal = shaped_mesh(mesh, face(BEARD)[1], 0.0)
    assert (goal == mesh).all()
    assert (reshape(picture, displacement(mesh, goal, picture.shape[:2])) == picture).all()


def test_the_goal_moves_towards_the_sources_outline() -> None:
    (_, target), (_, source) = face(WOMAN), face(SMILE)
    goal = shaped_mesh(target, source, 1.0)
    assert 0.002 < np.linalg.norm(goal - target, axis=1).mean() / regions.face_width(target) < 0.06
    half = shaped_mesh(target, source, 0.5)
    np.testing.assert_allclose(half, (goal + target) / 2, atol=0.01)


def test_the_goal_keeps_the_targets_mouth() -> None:
    (_, target), (_, smiling) = face(WOMAN), face(SMILE)
    assert regions.mouth_opening(smiling) > 0.1
    goal = shaped_mesh(target, smiling, 1.0)
    assert regions.mouth_opening(goal) < regions.mouth_opening(target) + 0.03


def test_size_and_place_are_no_shape() -> None:
    _, mesh = face(WOMAN)
    np.testing.assert_allclose(shaped_mesh(mesh, mesh * 1.7 + 5, 1.0), mesh, atol=0.05)


def test_pixels_far_from_the_face_stay_bit_equal_when_the_outline_moves() -> None:
    picture, mesh = face(WOMAN)
    move = displacement(mesh, shaped_mesh(mesh, face(BEARD)[1], 1.0), picture.shape[:2])
    still = np.abs(move).max(2) < MIN_MOVE
    moved = reshape(picture, move)
    assert (moved[still] == picture[still]).all()
    assert still.mean() > 0.05
    assert (moved != picture).any()


def test_positions_of_a_window_are_those_of_the_whole() -> None:
    picture, mesh = face(WOMAN)
    move = displacement(mesh, shaped_mesh(mesh, face(BEARD)[1], 1.0), picture.shape[:2])
    window = (slice(20, 70), slice(33, 90))
    assert np.array_equal(origins(move, window), origins(move)[window])


@pytest.mark.parametrize("size", [1, 50, 200, 64])
def test_a_picture_warped_point_by_point_is_the_picture_warped_at_once(
    size: int, rng: np.random.Generator
) -> None:
    picture = rng.integers(0, 256, (size, size + 21, 3), np.uint8)
    move = np.zeros((size, size + 21, 2), np.float32)
    move[size // 3 : size // 2 + 1, 5 : size // 2 + 6] = 1.3, -0.6
    move[-1, -1] = MIN_MOVE, 0
    move[0, 0] = np.nextafter(np.float32(MIN_MOVE), np.float32(0)), 0
    moved = np.abs(move).max(2) >= MIN_MOVE
    assert np.array_equal(moved_share(move) > 0, moved)
    at_once = cv2.remap(
        picture, origins(move), None, interpolation_for(picture.shape), borderMode=cv2.BORDER_REPLICATE
    )
    assert np.array_equal(reshape(picture, move), np.where(moved[..., None], at_once, picture))


def test_the_picture_that_is_warped_stays_as_it_was() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    before = picture.copy()
    moved = reshape(picture, np.full((40, 40, 2), 2.0, np.float32))  # every pixel moves
    assert np.array_equal(picture, before)
    assert not np.array_equal(moved, before)


def test_a_slowly_varying_displacement_is_rounded_to_whole_pixels_and_a_fast_one_is_not() -> None:
    across = np.arange(200, dtype=np.float32)
    slow, fast = (
        np.stack([np.tile(k * across, (40, 1)), np.zeros((40, 200))], 2).astype(np.float32)
        for k in (0.01, 0.4)
    )
    drawn = snap_to_pixels(slow)[10:-10, 10:-10, 0]
    off = np.abs(drawn - np.rint(drawn))
    assert np.mean(off < 0.1) > 0.8  # nearly all pixels move by a whole number of pixels
    assert np.abs(drawn - slow[10:-10, 10:-10, 0]).max() <= 0.5
    assert np.diff(drawn, axis=1).max() < 0.3  # without jumps in between
    assert np.diff(drawn, axis=1).min() >= 0  # nothing is shown twice
    np.testing.assert_allclose(snap_to_pixels(fast)[10:-10, 10:-10], fast[10:-10, 10:-10], atol=1e-3)


def test_a_shift_by_half_a_pixel_keeps_the_pictures_detail() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    move = np.full((60, 60, 2), 0.3, np.float32)
    soft, sharp_ = (reshape(picture, move, snap=crisply) for crisply in (False, True))
    inside = (slice(8, -8), slice(8, -8))
    assert soft[inside].std() < 0.95 * picture[inside].std()
    assert sharp_[inside].std() > 0.99 * picture[inside].std()
