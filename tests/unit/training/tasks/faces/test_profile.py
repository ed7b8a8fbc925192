"""Heads rotated to a profile."""

from __future__ import annotations

import numpy as np
import pytest
from support.face_labels import SIZE, face_mesh

from reliableswap.training.tasks.faces.profile import rotated_to_yaw, yaw_of


def test_a_head_rotated_to_a_yaw_has_that_yaw_and_keeps_its_distances(rng: np.random.Generator) -> None:
    image, mesh = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), face_mesh(rng)
    mesh[234, 2] += 4  # it already looks a little to one side
    rotated, rotated_mesh = rotated_to_yaw(image, mesh, 55.0)
    assert rotated.shape == image.shape
    assert abs(float(yaw_of(rotated_mesh))) == pytest.approx(55, abs=6)
    assert np.sign(yaw_of(rotated_mesh)) == np.sign(yaw_of(mesh))

    def spread(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:50, None] - points[None, 50:100], axis=-1)

    assert np.allclose(spread(rotated_mesh), spread(mesh), atol=0.01)
