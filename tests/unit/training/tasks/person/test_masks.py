"""Masks of a person's frames: without what is in front of the face, with the person's own glasses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.people import portrait

from reliableswap.faces.align import align, apply
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import five_points
from reliableswap.geometry import regions
from reliableswap.imaging.painted_glasses import paint_glasses
from reliableswap.swap.networks import Networks
from reliableswap.training.tasks.person.frames import bundled_networks, mask_of
from reliableswap.training.tasks.person.sightings import measured

Seen = tuple[np.ndarray, np.ndarray, Networks]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """A photo, its mesh (468,3), and the networks."""
    networks = bundled_networks()
    photo = portrait(3, 360)
    return photo, BundledAnalyser(networks.detector, networks.landmarks)(photo)[0].mesh, networks


def mask(photo: np.ndarray, mesh: np.ndarray, networks: Networks) -> tuple[np.ndarray, np.ndarray]:
    """(128,128) in 0..1 the mask of the aligned crop, and the mesh there."""
    crop, matrix = align(photo, five_points(mesh), 128)
    moved = apply(matrix, mesh)
    return mask_of(crop, moved, networks) / 255, moved


def test_what_is_held_before_the_mouth_is_left_out(seen: Seen) -> None:
    photo, mesh, networks = seen
    bare, moved = mask(photo, mesh, networks)
    mouth = regions.lips(moved, (128, 128)) > 0
    assert bare[mouth].mean() > 0.95
    held = photo.copy()
    x, y = mesh[[0, 17], :2].mean(0).astype(int)
    reach = int(0.3 * regions.face_width(mesh))
    cv2.rectangle(held, (x - reach, y - reach // 2), (x + reach, y + 3 * reach), (40, 60, 130), -1)
    covered, _ = mask(held, mesh, networks)
    assert covered[mouth].mean() < 0.1
    eyes = regions.eyes(moved, (128, 128)) > 0
    assert covered[eyes].mean() > 0.95
    before, after = (measured(0, one, mesh, networks).covered for one in (photo, held))
    assert after > before + 0.15


def test_glasses_are_the_persons_own(seen: Seen) -> None:
    photo, mesh, networks = seen
    worn, opacity = paint_glasses(photo, mesh.astype(np.float64), np.random.default_rng(5))[:2]
    found, moved = mask(worn, mesh, networks)
    eyes = regions.eyes(moved, (128, 128), 1.5) > 0
    assert opacity.max() > 0.5
    assert found[eyes].mean() > 0.95
