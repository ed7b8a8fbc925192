"""Rasters cover the right pixels, show what is nearest, and interpolate linearly."""

from __future__ import annotations

import numpy as np
import pytest
from support.blend_faces import WOMAN, face

from reliableswap.geometry.raster import Raster, mirror_positions, rasterise, rasterise_solid
from reliableswap.geometry.topology import topology

# Two parallel triangles over the same pixels, the second one nearer to the camera.
POINTS = np.array([[2, 2, 5], [17, 2, 5], [2, 17, 5], [2, 2, 1], [17, 2, 1], [2, 17, 1]], np.float32)
FAR, NEAR = [0, 1, 2], [3, 4, 5]


def random_triangle(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (3,3) of a clockwise triangle that may extend beyond a 30 x 30 picture, and its indices (1,3)."""
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(-3, 33, (3, 2)), rng.uniform(1, 9, 3)]).astype(np.float32)
    (a, b, c) = points[:, :2]
    clockwise = (b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0] > 0
    return points, np.array([[0, 1, 2] if clockwise else [0, 2, 1]])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("how", [rasterise, rasterise_solid])
def test_a_triangle_covers_the_pixels_that_a_test_of_every_pixel_finds(how: type, seed: int) -> None:
    points, triangles = random_triangle(seed)
    raster: Raster = how(points, (30, 30), triangles)
    y, x = np.mgrid[:30, :30]
    pixels = np.stack([x, y, np.ones_like(x)], -1)
    least_weight = (pixels @ raster.inverses[..., 0].T).min(-1)
    clear = np.abs(least_weight) > 1e-3  # away from the edges
    assert (raster.covered == (least_weight > 0))[clear].all()
    assert 0 < raster.covered.sum() < 900


def test_edges_are_inside() -> None:
    raster = rasterise_solid(POINTS, (20, 20), np.array([NEAR]))
    assert raster.covered.sum() == 16 * 17 / 2


@pytest.mark.parametrize("how", [rasterise, rasterise_solid])
@pytest.mark.parametrize("triangles", [[FAR, NEAR], [NEAR, FAR]])
def test_the_nearer_triangle_wins_in_any_order(how: type, triangles: list[list[int]]) -> None:
    raster: Raster = how(POINTS, (20, 20), np.array(triangles))
    assert (raster.triangles == triangles.index(NEAR)).all()
    assert len(raster.triangles) > 100


def test_triangles_that_cross_are_resolved_at_every_pixel() -> None:
    tilted = POINTS.copy()
    tilted[4, 2] = 9.0  # the second triangle leaves the first one's front at x = 9.5
    raster = rasterise_solid(tilted, (20, 20), np.array([FAR, NEAR]))
    x, _ = raster.xy
    assert (raster.triangles == np.where(x < 9.5, 1, 0)).all()


def test_triangles_that_face_away_are_not_drawn() -> None:
    assert not rasterise_solid(POINTS, (20, 20), np.array([NEAR[::-1]])).covered.any()


def test_values_are_linear_inside_and_as_given_outside() -> None:
    values = np.column_stack([POINTS[:, :2] @ (2, -1) + 3, POINTS[:, 0]])
    raster = rasterise(POINTS, (20, 24), np.array([NEAR]))
    x, y = raster.xy
    first, second = raster.interpolate(values)
    assert first == pytest.approx(2 * x - y + 3, abs=1e-4)
    assert second == pytest.approx(x, abs=1e-4)
    picture = raster.picture(values, outside=-7.0)
    assert picture.shape == (20, 24, 2)
    assert (picture[~raster.covered] == -7).all()
    assert picture[raster.covered][:, 1] == pytest.approx(x, abs=1e-4)


def test_nothing_in_the_picture_is_an_empty_raster() -> None:
    for how in (rasterise, rasterise_solid):
        raster = how(POINTS + np.float32(100), (20, 20), np.array([NEAR]))
        assert not raster.covered.any()
        assert raster.picture(POINTS).max() == 0


@pytest.mark.parametrize("reduced", [1.0, 2.5])
def test_each_pixel_of_a_face_knows_its_place_on_the_other_side(reduced: float) -> None:
    picture, mesh = face(WOMAN)
    places = mirror_positions(mesh, picture.shape[:2], reduced)
    scale = places.shape[1] / picture.shape[1]
    assert places.shape == (round(192 / reduced), round(192 / reduced), 2)
    assert (places[0, 0] == -2).all()
    for point in (50, 280, 117, 346):  # on the cheeks
        x, y = np.rint((mesh[point, :2] + 0.5) * scale - 0.5).astype(int)
        wanted = (mesh[topology().mirror[point], :2] + 0.5) * scale - 0.5
        assert np.abs(places[y, x] - wanted).max() < 1.5
