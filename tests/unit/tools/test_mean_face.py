"""The mean face and the twins of the mesh points."""

from __future__ import annotations

import numpy as np
import pytest
from support.tool_faces import MEAN, MIRROR, in_a_mirror, posed, rotation

from reliableswap.errors import ReliableSwapError
from tools.mean_face import mean_face, mirror_map, reflected, symmetric, upright


def test_twins_are_found_from_reflections_whatever_the_pose(rng: np.random.Generator) -> None:
    meshes = posed(MEAN + rng.normal(0, 0.02, (12, 468, 3)), rng)
    assert np.array_equal(mirror_map(meshes, in_a_mirror(meshes)), MIRROR)


def test_twins_that_contradict_each_other_are_an_error(rng: np.random.Generator) -> None:
    meshes = posed(MEAN[None], rng)
    wrong = in_a_mirror(meshes)
    wrong[:, 5] = wrong[:, 200]
    with pytest.raises(ReliableSwapError, match="have no twin among 1 photos"):
        mirror_map(meshes, wrong)


def test_the_mean_of_posed_faces_is_the_face_they_were_made_of(rng: np.random.Generator) -> None:
    asymmetric = MEAN + rng.normal(0, 0.03, (150, 468, 3))
    found = mean_face(posed(asymmetric, rng), MIRROR)
    assert np.sqrt(((found - MEAN) ** 2).sum(1).mean()) < 0.006
    np.testing.assert_allclose(reflected(found, MIRROR), found, atol=1e-9)
    np.testing.assert_allclose(found[[33, 263]].mean(0), 0, atol=1e-9)
    assert np.linalg.norm(found[33] - found[263]) == pytest.approx(1)
    assert found[152, 2] == pytest.approx(found[10, 2])
    assert found[152, 1] > found[10, 1]


def test_a_face_that_was_turned_comes_back_symmetric_and_upright(rng: np.random.Generator) -> None:
    turned = MEAN @ rotation(rng, 30) + 0.3
    np.testing.assert_allclose(upright(symmetric(turned - turned.mean(0), MIRROR)), upright(MEAN), atol=2e-3)
