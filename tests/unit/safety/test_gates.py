"""The gates' decisions and messages, with scores set by the tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from reliableswap.errors import RefusedError
from reliableswap.faces.face import Face
from reliableswap.safety.age import AgeEstimate, AgeNets
from reliableswap.safety.gates import Gates, report_address
from reliableswap.safety.nudity import NudityNet

PHOTO = np.zeros((400, 900, 3), np.uint8)
NUDE = np.full((400, 900, 3), 255, np.uint8)


@dataclass(eq=False)
class Seen:
    """A face with a given score of the probe."""

    probe: float = 30.0
    looks: int = 0
    pixels: Any = None
    networks: Any = None
    v_id: Any = None
    v_fix: Any = None

    @property
    def face(self) -> Face:
        return Face.from_mesh(np.array([[100, 100, 0], [160, 180, 0]] * 234, np.float32))


@dataclass
class Somebody:
    name: str
    subjects: tuple[Seen, ...]


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> Gates:
    """Gates that take white pictures for nude, and read a face's age from its stub."""

    def estimate(nets: AgeNets, seen: Seen) -> AgeEstimate:
        seen.looks += 1
        return AgeEstimate(seen.probe)

    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: float(pixels.mean()) / 255)
    monkeypatch.setattr(AgeNets, "estimate", estimate)
    return Gates()


def somebody(*probes: float) -> Somebody:
    return Somebody("alice.jpg", tuple(Seen(probe) for probe in probes))


def test_adults_pass(gates: Gates) -> None:
    assert gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [somebody(30.0)]).refused == {}
    gates.check_result(PHOTO, "photo.jpg", [Seen().face.box])
    assert gates.counts == {"targets": 1, "results": 1}


def test_a_young_source_is_refused_with_one_sentence(gates: Gates) -> None:
    with pytest.raises(RefusedError) as refused:
        gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [somebody(10.0)])
    words = str(refused.value)
    assert "the face in alice.jpg may be that of a person under 18" in words
    assert "please report it" in words
    assert "\n" not in words
    assert gates.counts["refused: age"] == 1


def test_one_young_photo_among_a_persons_photos_is_enough(gates: Gates) -> None:
    with pytest.raises(RefusedError, match=r"alice\.jpg"):
        gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [somebody(30.0, 30.0, 10.0, 30.0)])


def test_young_faces_of_a_target_are_named_and_others_are_not(gates: Gates) -> None:
    refused = gates.check_inputs(PHOTO, "photo.jpg", {0: Seen(), 2: Seen(10.0)}, [somebody(30.0)]).refused
    assert list(refused) == [2]
    assert "face 2 in photo.jpg may be that of a person under 18" in str(refused[2])


def test_nudity_as_a_whole_is_refused(gates: Gates) -> None:
    with pytest.raises(RefusedError, match=r"photo\.jpg seems to show nudity"):
        gates.check_inputs(NUDE, "photo.jpg", {0: Seen()}, [somebody(30.0)])
    with pytest.raises(RefusedError, match="the result was refused"):
        gates.check_result(NUDE, "photo.jpg", [])


def test_nudity_around_a_face_is_refused(gates: Gates) -> None:
    photo = PHOTO.copy()
    photo[:, :340] = 255  # the face's upper body; most of the picture is dark
    with pytest.raises(RefusedError, match="seems to show nudity"):
        gates.check_inputs(photo, "photo.jpg", {0: Seen()}, [somebody(30.0)])
    with pytest.raises(RefusedError, match="seems to show nudity"):
        gates.check_result(photo, "photo.jpg", [Seen().face.box])


def test_a_given_score_of_the_whole_picture_counts(gates: Gates) -> None:
    with pytest.raises(RefusedError, match="seems to show nudity"):
        gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [], score=0.9)


def test_a_result_like_its_harmless_target_is_not_looked_at(
    gates: Gates, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[np.ndarray] = []
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: looked.append(pixels) or 0.0)  # type: ignore[func-returns-value]
    result, box = PHOTO.copy(), Seen().face.box
    result[120:160, 110:150] += 30  # a face of another colour
    gates.check_result(result, "photo.jpg", [box], PHOTO)
    assert not looked
    gates.check_result(result, "photo.jpg", [box])
    assert len(looked) == 2
    result[:, :340] = 255  # the face's surroundings, and most of them
    gates.check_result(result, "photo.jpg", [box], PHOTO)
    assert len(looked) == 4


@pytest.mark.parametrize(("score", "harmless"), [(0.1, True), (0.3, False), (0.7, False)])
def test_only_a_target_far_from_the_limit_is_harmless(gates: Gates, score: float, harmless: bool) -> None:
    assert gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [], score=score).harmless is harmless


@pytest.mark.parametrize(("target", "source"), [(10.0, 30.0), (30.0, 10.0), (10.0, 10.0)])
def test_nudity_with_a_possible_minor_is_refused_without_details(
    gates: Gates, target: float, source: float
) -> None:
    with pytest.raises(RefusedError) as refused:
        gates.check_inputs(NUDE, "photo.jpg", {0: Seen(target)}, [somebody(source)])
    assert str(refused.value) == "the swap was refused"


def test_a_source_is_looked_at_once(gates: Gates) -> None:
    alice = somebody(30.0)
    for _ in range(3):
        gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [alice])
    assert alice.subjects[0].looks == 1


@pytest.mark.parametrize("failure", [OSError("no such file"), ImportError(), MemoryError(), KeyError("x")])
def test_a_gate_that_cannot_run_refuses_and_says_why(
    gates: Gates, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*given: object) -> float:
        raise failure

    monkeypatch.setattr(NudityNet, "score", fail)
    with pytest.raises(RefusedError, match="the nudity check can't run") as refused:
        gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [somebody(30.0)])
    assert (str(failure) or type(failure).__name__) in str(refused.value)
    with pytest.raises(RefusedError, match="the nudity check can't run"):
        gates.check_result(PHOTO, "photo.jpg", [])
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.0)
    monkeypatch.setattr(AgeNets, "estimate", fail)
    with pytest.raises(RefusedError, match="the age check can't run"):
        gates.check_inputs(PHOTO, "photo.jpg", {0: Seen()}, [])


def test_scores_that_are_no_numbers_refuse(gates: Gates, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 in gates.check_inputs(PHOTO, "photo.jpg", {0: Seen(math.nan)}, []).refused
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: math.nan)
    with pytest.raises(RefusedError, match="seems to show nudity"):
        gates.check_result(PHOTO, "photo.jpg", [])


def test_where_to_report_is_a_setting_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv("RELIABLESWAP_REPORT_ADDRESS", raising=False)
    assert "SECURITY.md" in report_address()
    monkeypatch.setenv("SPACE_ID", "somebody/swap")
    assert report_address() == "https://huggingface.co/spaces/somebody/swap/discussions"
    monkeypatch.setenv("RELIABLESWAP_REPORT_ADDRESS", "help@example.org\n")
    assert report_address() == "help@example.org"
