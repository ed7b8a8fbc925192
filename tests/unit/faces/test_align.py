"""Alignment: known affine maps are found, and crops show the piece of the photo that they name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliableswap.faces.align import (
    FIXER_WINDOW,
    IDENTITY_WINDOW,
    TEMPLATES,
    align,
    apply,
    crop,
    inverse,
    paste_back,
    similarity,
    upright,
)

ARCFACE = TEMPLATES["arcface_128"]


def turn(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def test_the_template_is_arcface_moved_by_eight_pixels() -> None:
    assert ARCFACE.points[0] == pytest.approx((46.2946, 51.6963))
    assert ARCFACE.points[4] == pytest.approx((78.7299, 92.2041))


def test_other_sizes_follow_the_pixel_centre_rule() -> None:
    # The middle of the canvas stays the middle; a pixel's outer edge (-0.5) stays the edge.
    assert np.allclose(ARCFACE.at(128), ARCFACE.points)
    assert np.allclose(ARCFACE.at(256), (np.array(ARCFACE.points) + 0.5) * 2 - 0.5)


@pytest.mark.slow
@given(st.floats(-3.1, 3.1), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_similarity_finds_the_motion_that_made_the_points(
    angle: float, scale: float, x: float, y: float
) -> None:
    motion = turn(angle, scale, x, y)
    points = apply(motion, ARCFACE.at(128))
    found = similarity(points, ARCFACE.at(128))
    assert np.allclose(apply(found, points), ARCFACE.at(128), atol=2e-2)
    assert np.allclose(found @ np.vstack([motion, (0, 0, 1)]), np.eye(3)[:2], atol=1e-2 * max(1, scale))


def test_similarity_never_mirrors_and_is_the_least_squares_one(rng: np.random.Generator) -> None:
    points, wanted = rng.normal(0, 30, (5, 2)), rng.normal(0, 30, (5, 2))
    best = similarity(points, wanted)
    assert np.linalg.det(best[:, :2]) > 0

    def error(matrix: np.ndarray) -> float:
        return float(((apply(matrix, points) - wanted) ** 2).sum())

    for change in np.eye(4) * 1e-3:
        a, b, x, y = change
        assert error(best + np.array([[a, -b, x], [b, a, y]])) > error(best)


def test_similarity_of_points_that_coincide_is_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity(np.ones((5, 2)), ARCFACE.at(128))


def test_an_identity_warp_leaves_every_pixel(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (128, 128, 3), np.uint8)
    aligned, matrix = align(image, ARCFACE.at(128))
    assert np.allclose(matrix, np.eye(3)[:2], atol=1e-9)
    assert (aligned == image).all()


def test_identity_and_fixer_windows_are_slices_of_one_crop() -> None:
    rows, columns = np.mgrid[:128, :128]
    identity = rows[IDENTITY_WINDOW], columns[IDENTITY_WINDOW]
    assert identity[0].shape == (112, 112)
    # The fixer's window is the bottom centre quarter of the identity window.
    assert (rows[FIXER_WINDOW] == identity[0][56:112, 28:84]).all()
    assert (columns[FIXER_WINDOW] == identity[1][56:112, 28:84]).all()
    # ArcFace's own points, in its own 112 pixels, lie where the identity window shows them.
    assert np.allclose(np.array(ARCFACE.points) - (8, 0), TEMPLATES["arcface_112"].points)


@pytest.mark.parametrize("shrink", [1.0, 1.7, 3.0, 9.0])
def test_a_crop_keeps_the_brightness_and_place_of_a_smooth_picture(shrink: float) -> None:
    size = 600
    y, x = np.mgrid[:size, :size].astype(np.float32)
    image = np.stack([x, y, x + y], 2) / (2 * size) * 255
    matrix = turn(0.3, 1 / shrink, 20, -15)
    taken = crop(image, matrix, 48)
    inner = np.array([[24, 24], [12, 30], [40, 8]], np.float32)
    origin = apply(inverse(matrix), inner)
    expected = np.column_stack([origin, origin.sum(1)]) / (2 * size) * 255
    found = taken[inner[:, 1].astype(int), inner[:, 0].astype(int)]
    assert np.abs(found - expected).max() < 0.5


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    checks = np.indices((512, 512)).sum(0) % 2 * 255
    small = crop(np.repeat(checks[..., None], 3, 2).astype(np.uint8), turn(0.1, 1 / 8, 0, 0), 40)
    assert small[5:-5, 12:-5].std() < 8  # picking pixels would leave black and white (127)


def test_paste_back_is_the_inverse_of_the_crop() -> None:
    y, x = np.mgrid[:200, :300].astype(np.float32)
    image = np.stack([x, y, x + y], 2)
    matrix = turn(-0.4, 0.8, 10, 40)
    back = paste_back(crop(image, matrix, 128), matrix, (200, 300))
    there = paste_back(np.ones((128, 128), np.float32), matrix, (200, 300)) == 1
    assert there.sum() > 5000
    assert np.abs(back - image)[there].max() < 0.75


def test_depth_scales_with_the_picture() -> None:
    points = np.array([[1, 2, 3], [4, 5, -6]], np.float32)
    assert np.allclose(apply(turn(0.5, 2.0, 1, 1), points)[:, 2], (6, -12))


@pytest.mark.parametrize("roll", [0, 30, 120, 180, -75])
def test_upright_turns_the_eyes_level_and_fixes_the_size(roll: float) -> None:
    points = apply(turn(np.radians(roll), 3.0, 400, 300), ARCFACE.at(128))
    moved = apply(upright(points, 128, 3.4), points)
    eyes, mouth = moved[:2].mean(0), moved[3:].mean(0)
    assert abs(moved[1, 1] - moved[0, 1]) < 2
    assert moved[1, 0] > moved[0, 0]
    assert mouth[1] > eyes[1]
    assert np.linalg.norm(mouth - eyes) == pytest.approx(128 / 3.4, rel=1e-4)
    assert np.allclose((eyes + mouth) / 2, 63.5, atol=1e-3)


def test_upright_holds_for_a_profile_whose_eyes_nearly_meet() -> None:
    points = np.array([[50, 50], [50.5, 53], [70, 80], [52, 110], [53, 110]], np.float32)
    moved = apply(upright(points, 128, 3.4), points)
    assert (
        moved[3:].mean(0)[1] - moved[:2].mean(0)[1] > 35
    )  # the eyes alone would have laid the face on its side
