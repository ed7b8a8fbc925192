"""Grouping tracklets into people, by vectors and positions that the tests choose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.evaluation_people import mesh_of

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.track import TrackSettings
from reliableswap.faces.track.cuts import CutFinder
from reliableswap.faces.track.people import cluster, is_false_positive
from reliableswap.faces.track.tracklet import Tracklet, View

SETTINGS = TrackSettings(rate=25.0)


def tracklet(
    number: int,
    frames: range,
    angle: float | None,
    *,
    shot: int = 1,
    x: float = 0.0,
    presence: float = 0.99,
    searched: float = 0.98,
    jitter: float = 0.0,
) -> Tracklet:
    """A tracklet whose identity vector has this angle in degrees; None: a tracklet without a look."""
    made = Tracklet(number, shot, searched, [searched] * 3)
    rng = np.random.default_rng(number)
    mesh = mesh_of()
    width = np.ptp(mesh[:, 0])
    for frame in frames:
        noise = jitter * width * rng.standard_normal(mesh.shape)
        made.add(frame, (mesh + noise + (x, 0, 0)).astype(np.float32), presence)
    if angle is not None:
        turn = np.radians(angle)
        vector = np.array([np.cos(turn), np.sin(turn)], np.float32)
        made.keep(View(frames[0], 0.9, vector, np.zeros((112, 112, 3), np.uint8), np.zeros(4)))
    return made


def test_only_the_best_look_keeps_its_crop() -> None:
    made = Tracklet(0, 1)
    for quality in (0.5, 0.9, 0.7):
        made.keep(View(0, quality, None, np.full((112, 112, 3), round(100 * quality), np.uint8), np.zeros(4)))
    assert [one.quality for one in made.views] == [0.9, 0.7, 0.5]
    best, *others = (one.crop for one in made.views)
    assert best is not None
    assert best[0, 0, 0] == 90
    assert others == [None, None]


def numbers(groups: list[list[Tracklet]]) -> list[list[int]]:
    return sorted(sorted(one.number for one in group) for group in groups)


def test_alike_tracklets_are_one_person_over_cuts() -> None:
    parts = [
        tracklet(0, range(0, 20), 0),
        tracklet(1, range(20, 40), 100, shot=2),
        tracklet(2, range(40, 60), 20, shot=3),
        tracklet(3, range(60, 80), 85, shot=4),
    ]
    assert numbers(cluster(parts, SETTINGS)) == [[0, 2], [1, 3]]


def test_two_faces_of_one_frame_are_never_one_person() -> None:
    twins = [tracklet(0, range(0, 20), 0), tracklet(1, range(19, 40), 0, x=900)]
    assert numbers(cluster(twins, SETTINGS)) == [[0], [1]]
    third = tracklet(2, range(40, 60), 5, shot=2)
    assert sorted(map(len, cluster([*twins, third], SETTINGS))) == [1, 2]


def test_a_tracklet_that_goes_on_where_another_ended_needs_less_likeness() -> None:
    near = [tracklet(0, range(0, 20), 0), tracklet(1, range(22, 40), 75)]
    assert numbers(cluster(near, SETTINGS)) == [[0, 1]]
    far = [tracklet(0, range(0, 20), 0), tracklet(1, range(22, 40), 75, x=900)]
    assert numbers(cluster(far, SETTINGS)) == [[0], [1]]
    unknown = [tracklet(0, range(0, 20), 0), tracklet(1, range(22, 40), None)]
    assert numbers(cluster(unknown, SETTINGS)) == [[0, 1]]
    another = [tracklet(0, range(0, 20), 0), tracklet(1, range(22, 40), 120)]
    assert numbers(cluster(another, SETTINGS)) == [[0], [1]]


@pytest.mark.parametrize(
    ("change", "false"),
    [
        ({}, False),
        ({"presence": 0.96, "searched": 0.85}, False),
        ({"presence": 0.5}, True),
        ({"presence": 0.93, "searched": 0.6}, True),
        ({"presence": 0.97, "searched": 0.3}, True),
        ({"presence": 0.95, "searched": 0.8, "jitter": 0.01}, True),
    ],
)
def test_several_doubts_together_make_a_tracklet_no_face(change: dict[str, float], false: bool) -> None:
    assert is_false_positive([tracklet(0, range(20), 0, **change)], SETTINGS) == false


def test_cuts_are_distinguished_from_pans_and_noise() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (9, 40, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (960, 216), interpolation=cv2.INTER_CUBIC)
    pan = [wide[:, 6 * i : 6 * i + 384] for i in range(12)]
    noisy = [np.clip(pan[-1] + rng.normal(0, 12, pan[-1].shape), 0, 255).astype(np.uint8) for _ in range(6)]
    other = 255 - wide[:, 500:884] // 2
    find = CutFinder()
    answers = [find(frame) for frame in [*pan, *noisy, other, other]]
    assert answers == [True] + [False] * 17 + [True, False]


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"enter": 0.2, "leave": 0.5}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ReliableSwapError, match="give"):
        TrackSettings(**wrong)
