"""The age of a clip's faces: how many looks a track takes, and how thorough they are."""

from __future__ import annotations

from typing import Any

import pytest

from reliableswap.safety import clip
from reliableswap.safety.age import AgeEstimate
from reliableswap.safety.clip import ClipGates
from reliableswap.safety.gates import Gates

ADULT, YOUNG = AgeEstimate(30.0), AgeEstimate(5.0, 5.0)


class Nets:
    """Gives the estimates one after the other, and notes which looks were brief."""

    def __init__(self, *estimates: AgeEstimate) -> None:
        self.left, self.brief = list(estimates), list[bool]()

    def estimate(self, seen: Any, both: bool = False, brief: bool = False) -> AgeEstimate:
        self.brief.append(brief)
        return self.left.pop(0)


def look(monkeypatch: pytest.MonkeyPatch, nets: Nets, looks: int) -> ClipGates:
    monkeypatch.setattr(clip, "age_nets", lambda: nets)
    gates = ClipGates(Gates(), "clip")
    for _ in range(looks):
        gates.add_face(0, 1, object(), looks)  # type: ignore[arg-type]
    return gates


@pytest.mark.parametrize(("looks", "needed"), [(5, 3), (4, 3), (3, 2), (2, 2), (1, 1)])
def test_looks_end_where_their_median_is_decided(
    monkeypatch: pytest.MonkeyPatch, looks: int, needed: int
) -> None:
    nets = Nets(*[ADULT] * 5)
    assert look(monkeypatch, nets, looks).refused_tracks([0]) == {}
    assert len(nets.brief) == needed


def test_one_young_look_is_outvoted_and_three_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, Nets(YOUNG, ADULT, ADULT, ADULT), 5).refused_tracks([0]) == {}
    assert 0 in look(monkeypatch, Nets(YOUNG, ADULT, YOUNG, ADULT, YOUNG), 5).refused_tracks([0])


@pytest.mark.parametrize("looks", [1, 2])
def test_a_track_of_few_frames_is_looked_at_thoroughly(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    nets = Nets(ADULT, YOUNG)
    look(monkeypatch, nets, looks)
    assert nets.brief == [False] * looks


def test_each_of_many_looks_is_brief(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = Nets(YOUNG, ADULT, YOUNG, ADULT, YOUNG)
    look(monkeypatch, nets, 5)
    assert nets.brief == [True] * 5
