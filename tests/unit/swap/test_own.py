"""What stays the target's inside a face."""

from __future__ import annotations

import numpy as np
import pytest
from support.evaluation_people import mesh_of, turned

from reliableswap.geometry import regions
from reliableswap.swap.own import targets_own


@pytest.mark.parametrize("degrees", [0, 60])
@pytest.mark.parametrize("side", [60, 700])
def test_parts_drawn_in_their_windows_are_those_of_the_whole_picture(degrees: float, side: int) -> None:
    mesh = turned(mesh_of(), degrees, 1)
    mesh = (mesh - mesh.min(0)) * np.float32(side / np.ptp(mesh[:, 1])) - np.float32(
        [8, 4, 0]
    )  # cut at the left
    whole = np.maximum(regions.eyes(mesh, (side, side), 0.9), regions.inner_mouth(mesh, (side, side)))
    wanted = regions.feathered(whole, 0.008 * regions.face_width(mesh))
    assert wanted.max() > 0.9
    np.testing.assert_allclose(targets_own(mesh, (side, side), 0.9), wanted, atol=1e-3)
