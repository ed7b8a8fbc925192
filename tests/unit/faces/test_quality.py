"""Measures of how well a photo shows a face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.triplet_people import aligned

from reliableswap.faces import quality
from reliableswap.faces.glasses import NONE, bundled_glasses
from reliableswap.faces.visibility import Covers, find_covers
from reliableswap.geometry.topology import topology
from reliableswap.geometry.warp import Copies


def hard_light(crop: np.ndarray, mesh: np.ndarray) -> float:
    return quality.hard_light(Copies(crop), mesh, find_covers(crop, mesh, bundled_glasses(), strict=True))


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    face = aligned(1)
    values = [quality.sharpness(cv2.GaussianBlur(face.crop, (0, 0), s)) for s in (0.6, 1.0, 1.5, 2.5)]
    assert values == sorted(values, reverse=True)
    assert values[3] < 0.5 * values[0]
    paler = (face.crop * 0.6 + 50).astype(np.uint8)
    assert quality.sharpness(paler) == pytest.approx(quality.sharpness(face.crop), rel=0.1)


def test_a_fringe_covers_more_of_the_face() -> None:
    face = aligned(1)
    fringe = face.crop.copy()
    fringe[: int(face.mesh[9, 1])] = (30, 20, 15)
    bare, hair = (find_covers(c, face.mesh, bundled_glasses(), strict=True) for c in (face.crop, fringe))
    shares = [quality.covered_share(covers, face.mesh, (128, 128)) for covers in (bare, hair)]
    assert shares[1] > shares[0] + 0.1


@pytest.mark.parametrize("side", [1, -1])
def test_a_shadow_with_an_edge_on_one_side_is_hard_light(side: int) -> None:
    face = aligned(2)
    across = side * (np.arange(128) - face.mesh[:, 0].mean()) / 60
    edge = 1 - 0.55 / (1 + np.exp(-40 * (across - 0.35)))
    ramp = 1 - 0.25 * across
    even, lit, soft = (
        hard_light((face.crop * light[None, :, None]).clip(0, 255).astype(np.uint8), face.mesh)
        for light in (np.ones(128), edge, ramp)
    )
    assert even < 0.1
    assert lit > 0.2
    assert soft < 0.15


def test_shadows_on_both_sides_are_no_hard_light() -> None:
    face = aligned(2)
    across = (np.arange(128) - face.mesh[:, 0].mean()) / 60
    edges = 1 - 0.55 / (1 + np.exp(-40 * (np.abs(across) - 0.35)))
    assert hard_light((face.crop * edges[None, :, None]).astype(np.uint8), face.mesh) < 0.2


def test_a_symmetric_face_in_symmetric_light_has_no_hard_light() -> None:
    mean = topology().canonical
    mesh = (mean - mean.mean(0)) * np.float32(110 / np.ptp(mean[:, 1]))
    mesh[:, :2] += 63.5 - (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    light = 200 - 80 * np.abs(np.arange(128) - 63.5) / 64  # brightest along the nose
    picture = np.repeat(np.tile(light, (128, 1)).astype(np.uint8)[..., None], 3, 2)
    nothing = Covers(
        np.dstack([np.zeros((128, 128)), np.ones((128, 128))]).astype(np.float32), 1.0, np.zeros(2), NONE
    )
    assert quality.hard_light(Copies(picture), mesh, nothing) < 1e-3


def test_a_hidden_face_has_no_hard_light() -> None:
    face = aligned(2)
    assert hard_light(np.zeros_like(face.crop), face.mesh) == 0.0
