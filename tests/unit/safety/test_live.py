"""The gates of a live picture: nothing is shown before they have looked, and single looks add up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reliableswap.errors import RefusedError
from reliableswap.safety import clip as clip_gates
from reliableswap.safety import live as live_gates
from reliableswap.safety.age import AgeEstimate
from reliableswap.safety.gates import Gates
from reliableswap.safety.live import LiveGates

PIXELS, BOX = np.zeros((400, 600, 3), np.uint8), np.array([10.0, 10, 30, 30])
ADULT, CHILD = AgeEstimate(30.0), AgeEstimate(10.0)


class Eyes:
    """Stubs of the gates' networks: nudity scores in turn, and one age for every face."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nude: list[float] = []
        self.age, self.looks = ADULT, 0
        monkeypatch.setattr(clip_gates, "nudity_net", lambda: SimpleNamespace(score=self._score))
        monkeypatch.setattr(live_gates, "age_nets", lambda: SimpleNamespace(estimate=lambda seen: self.age))

    def _score(self, pixels: np.ndarray) -> float:
        self.looks += 1
        return self.nude.pop(0) if self.nude else 0.0


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> Eyes:
    return Eyes(monkeypatch)


@pytest.fixture
def gates() -> LiveGates:
    return LiveGates(Gates(), "the live picture")


def seen() -> Any:
    return SimpleNamespace()


def test_a_quiet_picture_is_looked_at_once_a_second(eyes: Eyes, gates: LiveGates) -> None:
    shown = []
    for frame in range(30):
        shown.append(gates.look(PIXELS, [], frame / 10, new=False))
        shown.append(gates.look_at_result(PIXELS, [], new=False))
    gates.close()
    assert all(shown)
    assert eyes.looks <= 6, "three seconds, each with a look at the picture and one at the result"


def test_a_new_face_is_looked_at_before_it_is_shown(eyes: Eyes, gates: LiveGates) -> None:
    gates.look(PIXELS, [], 0.0, new=False)
    eyes.nude = [0.0, 0.99]  # the picture, and around the face
    with pytest.raises(RefusedError, match="the live picture seems to show nudity"):
        gates.look(PIXELS, [BOX], 0.1, new=True)


def test_a_doubtful_picture_is_held_back_until_the_doubt_is_gone(eyes: Eyes, gates: LiveGates) -> None:
    eyes.nude = [0.85]
    assert not gates.look(PIXELS, [], 0.0, new=False)
    assert gates.look(PIXELS, [], 0.1, new=False), "the next frame is looked at at once"
    eyes.nude = [0.85, 0.85]
    assert not gates.look(PIXELS, [], 1.3, new=True)
    with pytest.raises(RefusedError):
        gates.look(PIXELS, [], 1.4, new=False)


def test_a_result_that_shows_nudity_is_refused(eyes: Eyes, gates: LiveGates) -> None:
    gates.look(PIXELS, [], 0.0, new=False)
    eyes.nude = [0.99]
    with pytest.raises(RefusedError, match="the result was refused"):
        gates.look_at_result(PIXELS, [], new=True)


def test_a_score_that_is_no_number_refuses(eyes: Eyes, gates: LiveGates) -> None:
    eyes.nude = [float("nan")]
    with pytest.raises(RefusedError):
        gates.look(PIXELS, [], 0.0, new=False)


def test_the_age_is_checked_often_at_first_and_then_occasionally(eyes: Eyes, gates: LiveGates) -> None:
    asked = []
    for frame in range(100):
        asked.append(gates.age_due(1, frame / 10))
        if asked[-1]:
            gates.add_face(seen())
    assert gates.sees_adult
    assert asked[:3] == [True, True, True]
    assert 5 <= sum(asked) <= 8


def test_nobody_counts_as_adult_before_an_estimate(eyes: Eyes, gates: LiveGates) -> None:
    assert not gates.sees_adult
    gates.age_due(1, 0.0)
    gates.add_face(seen())
    assert gates.sees_adult
    gates.age_due(2, 0.1)
    assert not gates.sees_adult, "another face"


def test_a_young_face_is_never_shown_and_refused_after_three_looks(eyes: Eyes, gates: LiveGates) -> None:
    eyes.age = CHILD
    for _ in range(2):
        assert gates.age_due(1, 0.0)
        gates.add_face(seen())
        assert not gates.sees_adult
    with pytest.raises(RefusedError, match="may be that of a person under 18"):
        gates.add_face(seen())


def test_one_wrong_estimate_refuses_nobody(eyes: Eyes, gates: LiveGates) -> None:
    for age in (ADULT, CHILD, ADULT):
        eyes.age = age
        gates.age_due(1, 0.0)
        gates.add_face(seen())
    assert gates.sees_adult
