"""The mesh of 468 points: connectivity, symmetry, and what is refused as a mesh."""

from __future__ import annotations

import numpy as np
import pytest

from reliableswap.errors import ReliableSwapError
from reliableswap.geometry.topology import POINTS, checked_mesh, topology

Edge = tuple[int, int]


def edge_counts() -> dict[Edge, int]:
    """How many triangles each edge belongs to."""
    counts: dict[Edge, int] = {}
    for triangle in topology().triangles.tolist():
        for a, b in zip(triangle, triangle[1:] + triangle[:1], strict=True):
            counts[min(a, b), max(a, b)] = counts.get((min(a, b), max(a, b)), 0) + 1
    return counts


def ring_edges(name: str) -> set[Edge]:
    ring = topology().regions[name].tolist()
    return {(min(a, b), max(a, b)) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)}


def test_the_mesh_is_one_disc() -> None:
    triangles, edges = topology().triangles, edge_counts()
    assert set(edges.values()) == {1, 2}
    assert len(np.unique(triangles)) - len(edges) + len(triangles) == 1  # Euler's characteristic


def test_its_border_is_the_oval() -> None:
    assert {edge for edge, count in edge_counts().items() if count == 1} == ring_edges("oval")


@pytest.mark.parametrize("name", ["lips", "inner_lips", "right_eye", "left_eye"])
def test_rings_run_along_edges(name: str) -> None:
    assert ring_edges(name) <= edge_counts().keys()


def test_mirroring_twice_is_the_identity_and_keeps_the_triangles() -> None:
    top = topology()
    assert (top.mirror[top.mirror] == np.arange(POINTS)).all()
    triangles = {tuple(sorted(t)) for t in top.triangles.tolist()}
    assert {tuple(sorted(t)) for t in top.mirror[top.triangles].tolist()} == triangles


def test_the_mean_face_is_symmetric() -> None:
    top = topology()
    np.testing.assert_allclose(top.canonical[top.mirror] * (-1, 1, 1), top.canonical, atol=2e-4)


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (np.zeros((5, 3)), "the source mesh has shape"),
        (np.full((POINTS, 3), np.nan), "468 points that are not finite"),
        (np.zeros((POINTS, 3)), "less than 2 px"),
    ],
)
def test_errors_on_unusable_meshes_name_their_owner(mesh: np.ndarray, message: str) -> None:
    with pytest.raises(ReliableSwapError, match=message):
        checked_mesh(mesh, "source")
