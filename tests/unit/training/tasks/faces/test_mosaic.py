"""Mosaics of labelled faces."""

from __future__ import annotations

import numpy as np
from support.face_labels import white_face

from reliableswap.faces.align import apply
from reliableswap.training.tasks.faces.mosaic import mosaic, rotated_box


def test_labels_of_mosaics_are_where_the_faces_are() -> None:
    checked = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image, faces = mosaic([white_face()] * 3, 200, rng, strength=0.0, roll_limit=20)
        for face in faces:
            centre = ((face.box[:2] + face.box[2:]) / 2).round().astype(int)
            if (centre > 5).all() and (centre < 195).all():
                checked += 1
                patch = image[centre[1] - 2 : centre[1] + 3, centre[0] - 2 : centre[0] + 3]
                assert patch.mean() > 150
    assert checked > 20


def test_a_mirrored_face_swaps_its_eyes_so_that_the_left_one_stays_first() -> None:
    face = white_face().faces[0]
    mirrored = face.moved(np.array([[-1.0, 0, 99], [0, 1, 0]]), mirrored=True)
    assert mirrored.points5[0, 0] < mirrored.points5[1, 0]
    assert mirrored.points5[3, 0] < mirrored.points5[4, 0]
    assert mirrored.points5[2].tolist() == [39, 50]


def test_a_rotated_box_bounds_the_rotated_ellipse() -> None:
    box = np.array([-20, -30, 20, 30], np.float32)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0]])
    assert np.allclose(rotated_box(box, quarter), (-30, -20, 30, 20))
    eighth = np.array([[1.0, -1, 0], [1, 1, 0]]) / np.sqrt(2)
    angle = np.linspace(0, 2 * np.pi, 1000)
    ellipse = apply(eighth, np.column_stack([20 * np.cos(angle), 30 * np.sin(angle)]))
    assert np.allclose(rotated_box(box, eighth), np.concatenate([ellipse.min(0), ellipse.max(0)]), atol=0.01)
