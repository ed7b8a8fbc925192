"""What stays the target's inside a face."""

from __future__ import annotations

import numpy as np
import pytest
from support.evaluation_people import mesh_of, turned

from reliableswap.geometry import regions
from reliableswap.swap.kept_features import inner_features_mask


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
    np.testing.assert_allclose(inner_features_mask(mesh, (side, side), 0.9), wanted, atol=1e-3)


@pytest.mark.parametrize(("opening", "share"), [(0.1, 1.0), (0.18, 0.5), (0.3, 0.0)])
def test_shut_lids_are_the_targets(opening: float, share: float) -> None:
    mesh = mesh_of().copy()
    mesh = (mesh - mesh.min(0)) * np.float32(500 / np.ptp(mesh[:, 1]))
    for upper, lower, outer, inner in ((159, 145, 33, 133), (386, 374, 362, 263)):
        width = np.linalg.norm(mesh[outer] - mesh[inner])
        mesh[upper] = mesh[lower] - np.float32([0, opening * width, 0])
    own = inner_features_mask(mesh, (520, 520))
    for lid in (
        27,
        257,
    ):  # the folds of the upper lids lie on the region's edge; look a little below, inside it
        x, y = (0.6 * mesh[lid] + 0.4 * mesh[{27: 159, 257: 386}[lid]])[:2].round().astype(int)
        assert own[y, x] == pytest.approx(share, abs=0.3)
