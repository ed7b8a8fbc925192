"""Covers along a track: they move with the face, and an error in a single frame does not show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.people import portrait

from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Face
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.track import SteadyCovers
from reliableswap.faces.visibility import Decided, find_covers, scores


@pytest.fixture(scope="module")
def photo() -> tuple[np.ndarray, Face]:
    picture = portrait(1, 300)
    return picture, BundledAnalyser()(picture)[0]


def moved(photo: tuple[np.ndarray, Face], dx: float) -> tuple[np.ndarray, np.ndarray]:
    picture, face = photo
    matrix = np.array([[1, 0, dx], [0, 1, 0]], float)
    there = cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return there, face.shifted(dx, 0).mesh


def test_a_face_that_moves_keeps_its_covers(photo: tuple[np.ndarray, Face]) -> None:
    steady = SteadyCovers()
    for frame in range(5):
        picture, mesh = moved(photo, 8 * frame)
        made = steady(0, frame, picture, mesh, bundled_glasses())
    alone = find_covers(picture, mesh, bundled_glasses())
    (hidden, bare), (hidden_alone, bare_alone) = (one.on(picture.shape[:2]) for one in (made, alone))
    assert bare_alone.mean() > 0.05
    assert np.abs(bare - bare_alone).mean() < 0.004
    assert np.abs(hidden - hidden_alone).mean() < 0.004


def test_a_bar_in_one_frame_fades_in_and_out(photo: tuple[np.ndarray, Face]) -> None:
    steady = SteadyCovers()
    picture, face = photo
    x0, y0, x1, y1 = face.box.astype(int)
    barred = picture.copy()
    barred[(y0 + 3 * y1) // 4 : y1, x0:x1] = (20, 60, 160)

    def hidden_at(frame: int, shown: np.ndarray) -> float:
        covers = steady(0, frame, shown, face.mesh, None)
        return float(covers.on(shown.shape[:2])[0][(y0 + 3 * y1) // 4 : y1, x0:x1].mean())

    before = [hidden_at(frame, picture) for frame in range(6)][-1]
    during, after, later = hidden_at(6, barred), hidden_at(7, picture), hidden_at(12, picture)
    alone = find_covers(barred, face.mesh, None).on(picture.shape[:2])[0]
    whole = float(alone[(y0 + 3 * y1) // 4 : y1, x0:x1].mean())
    assert whole > before + 0.3
    assert before + 0.2 * (whole - before) < during < before + 0.8 * (whole - before)
    assert before < after < during
    assert later == pytest.approx(before, abs=0.02)


def test_earlier_decisions_override_the_picture(photo: tuple[np.ndarray, Face]) -> None:
    picture, face = photo
    glasses, mouth = scores(picture, face.mesh)
    assert glasses < -0.85
    assert mouth > -1
    plain = find_covers(picture, face.mesh, bundled_glasses())
    same = find_covers(picture, face.mesh, bundled_glasses(), decided=Decided(False, mouth))
    assert np.array_equal(plain.maps, same.maps)
    covered = find_covers(picture, face.mesh, bundled_glasses(), decided=Decided(False, -5.0))
    assert covered.maps[..., 0].mean() > plain.maps[..., 0].mean() + 0.05
