"""The triangles of the mesh."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.tool_faces import MEAN, MIRROR, opened

from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.topology import topology
from tools.triangulate import RINGS, delaunay, force_edge, triangulate


def test_delaunay_circles_are_empty_and_the_triangles_fill_the_hull(rng: np.random.Generator) -> None:
    points = rng.uniform(-3, 5, (60, 2))
    triangles = delaunay(points)
    whole = 0.0
    for t in triangles:
        a, b, c = points[list(t)]
        whole += abs(np.linalg.det(np.array([b - a, c - a]))) / 2
        centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
        others = np.delete(points, list(t), axis=0)
        assert np.linalg.norm(others - centre, axis=1).min() > np.linalg.norm(a - centre) * (1 - 1e-4)
    hull = cv2.contourArea(cv2.convexHull(points.astype(np.float32)))
    assert whole == pytest.approx(hull, rel=1e-4)


def test_flips_bring_in_an_edge_and_keep_the_area(rng: np.random.Generator) -> None:
    points = np.concatenate([rng.uniform(0, 1, (40, 2)), [[-0.2, 0.5], [1.2, 0.5]]])
    triangles = delaunay(points)
    assert not any({40, 41} <= set(t) for t in triangles)

    def areas() -> np.ndarray:
        a, b, c = np.moveaxis(points[np.array(triangles)], 1, 0)
        u, v = b - a, c - a
        return np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])

    before, count = areas().sum(), len(triangles)
    force_edge(triangles, 40, 41, points)
    assert sum({40, 41} <= set(t) for t in triangles) == 2
    assert len(triangles) == count
    assert areas().sum() == pytest.approx(before)


def test_an_open_face_triangulates_into_one_disc_whose_mouth_is_its_own() -> None:
    triangles = triangulate(opened(MEAN, 0.2), MIRROR)
    assert len(triangles) == 2 * 468 - 2 - len(RINGS["oval"])
    same = {tuple(sorted(t)) for t in triangles.tolist()}
    assert {tuple(sorted(t)) for t in MIRROR[triangles].tolist()} == same
    lips = set(RINGS["inner_lips"])
    assert sum(set(t) <= lips for t in triangles.tolist()) == len(lips) - 2


def test_the_shipped_mesh_has_every_triangle_between_the_lips() -> None:
    lips = set(topology().regions["inner_lips"].tolist())
    assert sum(set(t) <= lips for t in topology().triangles.tolist()) == len(lips) - 2


def test_a_face_folded_over_its_outline_is_an_error() -> None:
    folded = MEAN.copy()
    folded[[1, 4]] *= (1, 6, 1)
    with pytest.raises(ReliableSwapError, match="label more photos"):
        triangulate(folded, MIRROR)
