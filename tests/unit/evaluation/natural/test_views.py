"""What probes see of a face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from support.evaluation_people import analyser
from support.people import portrait

from reliableswap.evaluation.natural.views import (
    MAX_PATCHES,
    PATCH_SIZE,
    Viewer,
    patch_features,
    patches_inside,
)
from reliableswap.faces.align import align, apply


def test_patches_put_the_finer_map_below_the_coarser() -> None:
    fine = torch.arange(16.0).reshape(1, 1, 4, 4)
    coarse = torch.tensor([[[[1.0, 2], [3, 4]]]])
    assert patch_features(fine, coarse).tolist() == [[2.5, 1], [4.5, 2], [10.5, 3], [12.5, 4]]


def test_patches_lie_inside_the_face_and_all_over_it() -> None:
    image = portrait(1)
    face = analyser()(image)[0]
    _, matrix = align(image, face.points5, PATCH_SIZE)
    mesh = apply(matrix, face.mesh)
    found = patches_inside(mesh)
    assert len(set(found.tolist())) == MAX_PATCHES
    rows, columns = np.divmod(found, PATCH_SIZE // 16)
    hull = cv2.convexHull(np.ascontiguousarray(mesh[:, :2]))
    centres = np.column_stack([columns, rows]) * 16.0 + 7.5
    assert all(cv2.pointPolygonTest(hull, (x, y), True) > 7 for x, y in centres.tolist())
    assert np.ptp(rows) * 16 > 0.8 * np.ptp(mesh[:, 1]) - 32
    assert np.ptp(columns) * 16 > 0.8 * np.ptp(mesh[:, 0]) - 32


@pytest.mark.slow
def test_a_face_is_seen_by_two_networks_and_always_alike() -> None:
    image = portrait(2)
    face = analyser()(image)[0]
    viewer = Viewer()
    one, again = viewer(image, face), viewer(image, face)
    assert {name: view.shape for name, view in one.whole.items()} == {"lite1": (1, 320), "lite2": (1, 352)}
    assert {name: view.shape[1] for name, view in one.patches.items()} == {"lite1": 152, "lite2": 168}
    assert all(np.array_equal(one.patches[name], again.patches[name]) for name in one.patches)
