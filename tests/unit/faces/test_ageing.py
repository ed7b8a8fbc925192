"""The directions of age: what they change of a face, and what they leave alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.faces.ageing import GRID, ageing, map_places, map_width, packed, unpacked
from reliableswap.geometry import regions
from reliableswap.geometry.measures import onto_mean_face
from reliableswap.geometry.topology import topology

Face = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def face(pipe: ReliableSwapPipeline) -> Face:
    """A photo and its mesh (468,3)."""
    photo = portrait(5, 300)
    return photo, pipe.find(photo)[0].mesh


def fine(picture: np.ndarray, mesh: np.ndarray) -> float:
    """The strength of fine structure on the skin."""
    light = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    skin = regions.eroded(regions.skin(mesh, light.shape), 8) > 0
    return float((light - cv2.GaussianBlur(light, (0, 0), 3))[skin].std())


def test_an_older_face_has_more_fine_structure_and_a_younger_one_less(face: Face) -> None:
    photo, mesh = face
    younger, plain, older = (fine(ageing().picture(photo, mesh, years)[0], mesh) for years in (-15, 0, 15))
    assert younger < 0.92 * plain
    assert older > 1.08 * plain


def test_nothing_changes_at_zero_beside_the_face_in_its_eyes_or_behind_a_hand(face: Face) -> None:
    photo, mesh = face
    same, changed = ageing().picture(photo, mesh, 0)
    assert np.array_equal(same, photo)
    assert not changed.any()
    seen = np.ones(photo.shape[:2], np.float32)
    seen[:, : int(mesh[1, 0])] = 0
    older, changed = ageing().picture(photo, mesh, 15, seen)
    assert np.array_equal(older[changed == 0], photo[changed == 0])
    assert not changed[:, : int(mesh[1, 0])].any()
    assert (older != photo).any(2)[changed > 0.9].mean() > 0.5
    inner = regions.eroded(regions.eyes(mesh, changed.shape), 2) > 0
    assert changed[inner].max() < 0.1
    assert changed[regions.oval(mesh, changed.shape) == 0].max() == 0


def test_ageing_and_rejuvenation_move_the_mesh_in_opposite_directions(face: Face) -> None:
    _, mesh = face
    assert ageing().mesh(mesh, 0) is mesh
    older, younger = ageing().mesh(mesh, 10) - mesh, ageing().mesh(mesh, -10) - mesh
    assert np.allclose(older, -younger, atol=1e-3)
    scale, rotation, _ = onto_mean_face(mesh)
    assert np.allclose(scale * older @ rotation, 10 * ageing().shape, atol=1e-3)
    assert 0.1 < np.linalg.norm(older, axis=1).max() < 0.05 * regions.face_width(mesh)


def test_the_same_face_ages_alike_at_every_size(face: Face) -> None:
    photo, mesh = face
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    small, _ = ageing().picture(half, (mesh + 0.5) * 0.5 - 0.5, 12)
    large, _ = ageing().picture(photo, mesh, 12)
    reduced = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    difference = np.abs(small.astype(int) - reduced).mean()
    assert difference < 0.4 * np.abs(reduced.astype(int) - half).mean()


def test_maps_hold_the_whole_mean_face() -> None:
    places = map_places()
    assert places.min() > 0
    assert (places < (GRID[1] - 1, GRID[0] - 1)).all()
    assert places[topology().mirror, 0] == pytest.approx(GRID[1] - 1 - places[:, 0], abs=0.01)
    assert map_width() == pytest.approx(131, abs=1)
    assert ageing().tone.shape == (*GRID, 3)
    assert ageing().gain.min() >= 0


def test_arrays_are_packed_to_a_127th(rng: np.random.Generator) -> None:
    values = rng.normal(0, 3, (5, 7, 2))
    assert np.abs(unpacked(packed(values)) - values).max() < np.abs(values).max() / 127
    assert not unpacked(packed(np.zeros((2, 2)))).any()
