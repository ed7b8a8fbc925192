"""Glasses painted on faces."""

from __future__ import annotations

import numpy as np
import pytest
from support.blend_faces import MESHES, OTHER, WOMAN, face

from reliableswap.geometry.raster import rasterise
from reliableswap.imaging.painted_glasses import fit_mean_face, paint_glasses, random_frame, visible_part


def test_glasses_lie_around_the_eyes_and_change_nothing_below(rng: np.random.Generator) -> None:
    for name in (WOMAN, OTHER):
        picture, mesh = face(name)
        before = picture.copy()
        for _ in range(8):
            out, worn = paint_glasses(picture, mesh, rng)
            assert out.shape == picture.shape
            assert out.dtype == np.uint8
            assert 0 < worn.max() <= 1
            sure = worn > 0.8
            assert np.abs(out.astype(int) - picture)[sure].mean() > 12
            y, _ = np.nonzero(sure)
            assert mesh[10, 1] < y.min()
            assert y.max() < mesh[2, 1]
            below = slice(int(mesh[0, 1]), None)
            assert np.abs(out[below].astype(int) - picture[below]).mean() < 1
        assert np.array_equal(picture, before)


def test_glasses_rotate_with_the_head() -> None:
    straight = np.array(MESHES[WOMAN])
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    middle = straight.mean(0)
    turned = (straight - middle) @ turn.T + middle
    bridge = np.array([[0.0, 0.0, -0.4, 1.0]])
    moved = (bridge @ fit_mean_face(turned))[0] - middle
    assert moved == pytest.approx(turn @ ((bridge @ fit_mean_face(straight))[0] - middle), abs=1e-3)


def test_a_temple_ends_where_the_head_hides_it() -> None:
    mesh = np.array(MESHES[WOMAN], np.float32)
    middle = mesh.mean(0)
    angle = np.radians(40)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = ((mesh - middle) @ turn.T + middle).astype(np.float32)
    turned[:, :2] += 40 - turned[:, :2].min(0)
    shape_hw = tuple(np.ceil(turned[:, 1::-1].max(0) + 40).astype(int).tolist())
    depth = rasterise(turned, shape_hw).picture(turned[:, 2:], outside=np.inf)[..., 0]
    place, slack = fit_mean_face(turned), 0.03 * float(np.linalg.norm(turned[263] - turned[33]))
    # The near temple is fully visible; most of the far one is hidden.
    near, far = (33, 263) if turned[33, 2] < turned[263, 2] else (263, 33)
    sign = {33: 0, 263: 1}
    for seed in range(6):
        temples = random_frame(np.random.default_rng(seed)).temples
        left = [len(visible_part(temple, place, depth, slack)) for temple in temples]
        assert left[sign[near]] == len(temples[0])
        assert left[sign[far]] < 0.5 * len(temples[0])
