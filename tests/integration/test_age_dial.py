"""The age dial of a swap: older, younger, and never too young."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.face_clips import Actor, scene, walking
from support.people import portrait

from reliableswap import ReliableSwapPipeline
from reliableswap.cli.main import main, make_parser
from reliableswap.errors import RefusedError, ReliableSwapError
from reliableswap.faces.track import TrackedFace
from reliableswap.pipelines.clip_swap import FrameSwapper
from reliableswap.safety.age import AgeEstimate, AgeNets
from reliableswap.safety.clip import ClipGates
from reliableswap.swap.settings import SwapSettings

SOURCE, TARGET = 5, 8


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["neural", "blend"])
def test_results_look_older_with_the_dial(pipe: ReliableSwapPipeline, engine: Any) -> None:
    source, target = pipe.prepare(portrait(SOURCE, 360)), portrait(TARGET, 360)
    older, some, plain = (pipe(source, target, engine=engine, age=years) for years in (15, 5, None))
    faces = [one.report.faces[0] for one in (older, some, plain)]
    assert [face.age for face in faces] == [15, 5, 0]
    assert faces[0].apparent_age > faces[1].apparent_age + 1  # type: ignore[operator]
    assert faces[2].apparent_age is None
    assert min(face.identity_after or 0 for face in faces) > 0.5 * (faces[2].identity_after or 1)
    changed = np.abs(older.pictures[0].pixels.astype(int) - plain.pictures[0].pixels)
    x0, y0, x1, y1 = (int(v) for v in faces[0].box)
    assert changed[y0:y1, x0:x1].mean() > 2
    changed[y0 - 40 : y1 + 40, x0 - 40 : x1 + 40] = 0
    assert changed.mean() < 0.1


@pytest.mark.slow
def test_parts_kept_from_the_target_do_not_age(pipe: ReliableSwapPipeline) -> None:
    source, target = pipe.prepare(portrait(SOURCE, 240)), portrait(TARGET, 240)
    own = {"skin": "target", "beard": "target", "shape": "target"}
    plain, older = (pipe(source, target, engine="blend", age=years, attributes=own) for years in (0, 15))
    mesh = pipe.find(target)[0].mesh
    x, y = mesh[50, :2].round().astype(int)  # a cheek
    cheek = slice(y - 4, y + 4), slice(x - 4, x + 4)
    changed = np.abs(plain.pictures[0].pixels.astype(int) - older.pictures[0].pixels)
    assert changed[cheek].mean() < 1.5
    assert changed.max() > 12  # lips and brows


class FakeAges:
    """Make the age network take photos for adults, and swapped faces for the given ages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, probe: float, years: float) -> None:
        adult = AgeEstimate(40.0, 40.0)
        monkeypatch.setattr(
            AgeNets, "estimate", lambda nets, seen, both=False: AgeEstimate(probe, years) if both else adult
        )


@pytest.mark.slow
def test_a_result_that_looks_too_young_is_refused(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = pipe.prepare(portrait(SOURCE, 200)), portrait(TARGET, 200)
    FakeAges(monkeypatch, 30.0, 24.0)
    with pytest.raises(
        RefusedError, match=r"10 years younger, the face in .* looks 24, but results must look 25 or older"
    ):
        pipe(source, target, engine="blend", age=-10)
    # A face that looks young by itself may be made older.
    report = pipe(source, target, engine="blend", age=10).report
    assert report.faces[0].apparent_age == 24
    FakeAges(monkeypatch, 12.0, 40.0)
    with pytest.raises(RefusedError, match=r"after a change of \+10 years, the face in .* under 18"):
        pipe(source, target, engine="blend", age=10)
    assert pipe.safety.counts["refused: age"] >= 2
    FakeAges(monkeypatch, 30.0, float("nan"))
    with pytest.raises(RefusedError):
        pipe(source, target, engine="blend", age=-1)


def test_ages_out_of_range_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for years in (-15.5, 16, float("nan")):
        with pytest.raises(ReliableSwapError, match="choose from -15 to 15 years"):
            SwapSettings(age=years)
    with pytest.raises(SystemExit):
        main(["swap", "a.jpg", "b.jpg", "-o", "c.png", "--age", "30"])
    assert "30 is not between -15 and 15 years" in capsys.readouterr().err
    assert make_parser("swap").parse_args(["swap", "a", "b", "-o", "c", "--age", "-10"]).age == -10
    assert make_parser("video").parse_args(["video", "a", "b", "-o", "c", "--age", "+7"]).age == 7


@pytest.mark.slow
def test_the_command_says_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, number in (("source", SOURCE), ("target", TARGET)):
        Image.fromarray(portrait(number, 240)).save(tmp_path / f"{name}.png")
    pictures = [str(tmp_path / name) for name in ("source.png", "target.png")]
    assert main(["swap", *pictures, "-o", str(tmp_path / "out.png"), "--age", "10", "--engine", "blend"]) == 0
    assert "face 0: made 10 years older; it looks about " in capsys.readouterr().err


def test_a_clip_whose_faces_get_too_young_is_refused(
    pipe: ReliableSwapPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pixels,) = scene([Actor(1, walking(140, 150, 1))], 1)
    face = TrackedFace(0, 1, 1, pipe.analyser(pixels)[0])
    sources = {1: pipe.prepare(portrait(2))}
    swapper = FrameSwapper("clip", sources, "blend", SwapSettings(age=-12), pipe.networks())
    (begun,) = swapper.begin(pixels, [face])
    assert begun.subject is not None
    swapped = swapper.swap_single(begun.subject, 1)
    assert np.abs(swapped.pixels.astype(int) - begun.subject.pixels).max() > 20
    FakeAges(monkeypatch, 30.0, 22.0)
    gates = ClipGates(pipe.safety, "clip")
    gates.check_aged(swapper.age_change)  # nobody was looked at
    gates.add_aged(1, swapped)
    with pytest.raises(RefusedError, match="12 years younger, the face in person 1 in clip looks 22"):
        gates.check_aged(swapper.age_change)
