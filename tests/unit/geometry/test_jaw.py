"""Rays from the mouth through the jaw."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.geometry import regions
from reliableswap.geometry.jaw import between_rings, jaw, jaw_position, on_rays, reach_factor
from reliableswap.geometry.raster import rasterise, signed_areas
from reliableswap.geometry.topology import topology


@pytest.fixture(scope="module")
def mesh() -> np.ndarray:
    return np.asarray(topology().canonical * 100 + np.array([200, 160, 0]), np.float32)


def test_rays_go_from_ear_to_ear_and_are_longest_at_the_chin(
    mesh: np.ndarray,
) -> None:
    assert len(jaw()) % 2 == 1
    assert jaw()[len(jaw()) // 2] == 152
    assert jaw_position()[0] == pytest.approx(0, abs=1e-6)
    assert jaw_position()[len(jaw()) // 2] == 1
    at, out = on_rays(mesh, (0.0, 0.3))
    np.testing.assert_allclose(at, mesh[jaw(), :2])
    np.testing.assert_allclose(
        np.linalg.norm(out - at, axis=1),
        0.3 * regions.face_width(mesh) * reach_factor(),
        rtol=1e-4,
        atol=1e-3,
    )
    assert out[len(jaw()) // 2, 1] > at[len(jaw()) // 2, 1]
    assert reach_factor()[0] == reach_factor()[-1] == 0


def test_points_on_rays_scale_and_rotate_with_the_mesh(mesh: np.ndarray) -> None:
    turn = np.array([[0, -1], [1, 0]], np.float32)
    other = np.column_stack([2 * mesh[:, :2] @ turn, 2 * mesh[:, 2]]).astype(np.float32)
    distances = (-0.1, 0.0, 0.2)
    np.testing.assert_allclose(
        on_rays(other, distances), 2 * on_rays(mesh, distances) @ turn, rtol=1e-4, atol=1e-2
    )


def test_triangles_between_rings_face_the_camera(mesh: np.ndarray) -> None:
    rings = on_rays(mesh, (-0.1, 0.0, 0.2)).reshape(-1, 2)
    areas = signed_areas(np.column_stack([rings, np.zeros(len(rings))]), between_rings(3))
    assert areas.min() > -1e-2
    assert areas.max() > 1


def test_triangles_between_rings_leave_no_gap(mesh: np.ndarray) -> None:
    rings = on_rays(mesh, (-0.1, 0.0, 0.2)).reshape(-1, 2)
    points = np.column_stack([rings, np.zeros(len(rings))])
    covered = rasterise(points, (400, 400), between_rings(3)).covered
    chin = on_rays(mesh, np.linspace(-0.09, 0.19, 40).tolist())[:, len(jaw()) // 2]
    columns, rows = np.rint(chin).astype(int).T
    assert covered[rows, columns].all()
    nose, forehead = (np.rint(mesh[point, 1::-1]).astype(int) for point in (1, 10))
    assert not covered[tuple(nose)]
    assert not covered[tuple(forehead)]
