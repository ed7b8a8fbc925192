"""Decisions over a clip."""

from __future__ import annotations

import math

from reliableswap.safety.age import AgeEstimate
from reliableswap.safety.track import AgeTrack, LookSchedule, NudityTrack

ADULT, CHILD = AgeEstimate(30.0), AgeEstimate(8.0, 9.0)


def test_a_clip_is_looked_at_every_second_and_at_cuts() -> None:
    looks = LookSchedule()
    frames = [n / 10 for n in range(31)]
    assert [t for t in frames if looks.due(t, cut=t == 1.5)] == [0.0, 1.0, 1.5, 2.5]


def test_going_back_in_time_is_looked_at() -> None:
    looks = LookSchedule()
    assert looks.due(5.0)
    assert looks.due(0.5)


def test_one_doubtful_look_refuses_no_clip() -> None:
    track = NudityTrack()
    assert not any(track.add(score) for score in (0.1, 0.85, 0.1, 0.85, 0.2))
    assert not track.refused


def test_two_looks_in_a_row_refuse() -> None:
    track = NudityTrack()
    assert [track.add(score) for score in (0.1, 0.85, 0.6, 0.82, 0.6, 0.4)] == [
        False, False, False, True, True, False,
    ]  # fmt: skip
    assert track.refused


def test_one_certain_look_or_one_nan_score_refuses() -> None:
    for score in (0.96, math.nan):
        track = NudityTrack()
        assert track.add(score)
        assert track.refused


def test_the_median_of_a_track_decides() -> None:
    track = AgeTrack([ADULT, ADULT, CHILD])
    assert not track.may_be_minor
    track.add(CHILD)
    track.add(CHILD)
    assert track.may_be_minor


def test_looks_end_when_they_decide_the_median() -> None:
    clear, doubtful = AgeEstimate(18.0, 21.5), AgeEstimate(17.0, 22.0)
    assert not AgeTrack([ADULT, clear]).surely_adult(5)
    assert AgeTrack([ADULT, clear, doubtful, ADULT]).surely_adult(5)
    assert not AgeTrack([ADULT, clear, doubtful]).surely_adult(5)
    decided = AgeTrack([ADULT, clear, ADULT])
    assert decided.surely_adult(5)
    for worst in (CHILD, AgeEstimate(16.0, 40.0), AgeEstimate(40.0, 5.0)):
        assert not AgeTrack([*decided.estimates, worst, worst]).may_be_minor
    # These three are adult for different reasons, so two children would move the medians.
    mixed = AgeTrack([AgeEstimate(17.5, 21.0), AgeEstimate(16.7, 26.0), AgeEstimate(17.5, 21.0)])
    assert not mixed.surely_adult(5)


def test_a_track_without_a_look_or_without_a_number_refuses() -> None:
    assert AgeTrack().may_be_minor
    assert AgeTrack([ADULT, ADULT, AgeEstimate(math.nan)]).may_be_minor


def test_doubt_in_half_of_the_looks_is_settled_by_the_second_network() -> None:
    doubtful = AgeEstimate(17.0, 22.0)
    assert AgeTrack([doubtful, doubtful, ADULT]).may_be_minor
    assert not AgeTrack([doubtful, ADULT, ADULT]).may_be_minor
