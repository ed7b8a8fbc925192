"""The protocol `video`: clips and their swapped versions, made by the tests."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.evaluation_people import examiner
from support.face_clips import Actor, scene, walking
from support.people import person

from reliableswap.cli import evaluate as command
from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.measure import evaluate
from reliableswap.evaluation.methods import FolderMethod, Method, UnchangedTarget
from reliableswap.evaluation.protocols.clips import chosen_frames
from reliableswap.evaluation.protocols.pairs import make_pairs
from reliableswap.evaluation.protocols.video import frame_times
from reliableswap.evaluation.results import MethodResult

FRAMES = 8
FIRST = 8 * 3600 * 1000  # milliseconds: clips may begin late


def write(path: Path, frames: list[np.ndarray], times: list[int]) -> None:
    """Write a clip with the given timestamps in milliseconds."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.bit_rate = 4_000_000
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.max_b_frames = 0
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of one person, and four versions with another person in their place."""
    root = tmp_path_factory.mktemp("clips")
    place = walking(120, 200, FRAMES)
    own, swapped = (scene([Actor(number, place)], FRAMES) for number in (1, 4))
    times = [FIRST + 40 * i + 3 * (i % 3) for i in range(FRAMES)]  # a variable frame rate
    write(root / "clip.mkv", own, times)
    write(root / "good" / "walk.mkv", swapped, times)
    lit = [
        np.where(i % 2, np.minimum(frame, 225) + 30, frame).astype(np.uint8)
        for i, frame in enumerate(swapped)
    ]
    write(root / "flickers" / "walk.mkv", lit, [FIRST + 40 * i for i in range(FRAMES)])
    write(root / "holes" / "walk.mkv", [own[i] if i in (4, 5) else swapped[i] for i in range(FRAMES)], times)
    write(root / "short" / "walk.mkv", swapped[:-2], times[:-2])
    (root / "pairs.tsv").write_text(f"name\tsource\ttarget\nwalk\t{person(4)}\tclip.mkv\n")
    return root


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, MethodResult]:
    pairs = make_pairs("video", root, frames=0)
    assert [pair.target.frame for pair in pairs] == list(range(FRAMES))
    names = ("good", "flickers", "holes", "short")
    methods: list[Method] = [UnchangedTarget(), *(FolderMethod(name, root / name) for name in names)]
    return {one.name: one for one in evaluate(methods, pairs, examiner()).methods}


def value(found: dict[str, MethodResult], method: str, metric: str) -> float:
    return found[method].estimates[metric].value


@pytest.mark.slow
def test_unswapped_frames_are_counted(found: dict[str, MethodResult]) -> None:
    assert value(found, "unchanged target", "unswapped") == 1
    assert value(found, "good", "unswapped") == 0
    assert value(found, "holes", "unswapped") == pytest.approx(2 / FRAMES)


@pytest.mark.slow
def test_flicker_is_that_of_the_swap(found: dict[str, MethodResult]) -> None:
    assert value(found, "unchanged target", "flicker") == 0
    assert abs(value(found, "good", "flicker")) < 3
    assert value(found, "flickers", "flicker") > 15
    assert value(found, "holes", "flicker") > value(found, "good", "flicker") + 2
    # The first and the last frame have one neighbour only.
    assert found["good"].estimates["flicker"].count == FRAMES - 2


@pytest.mark.slow
def test_time_stamps_and_lengths_are_compared(root: Path, found: dict[str, MethodResult]) -> None:
    assert frame_times(root / "clip.mkv")[1] == pytest.approx(FIRST / 1000 + 0.043)
    assert value(found, "good", "on_time") == 1
    assert value(found, "flickers", "on_time") == pytest.approx(3 / FRAMES)  # at an even rate
    assert value(found, "short", "on_time") == 0
    assert value(found, "short", "failed") == pytest.approx(2 / FRAMES)
    assert "on_time" not in found["unchanged target"].estimates


@pytest.mark.slow
def test_pose_and_expression_are_measured_in_every_frame(found: dict[str, MethodResult]) -> None:
    assert value(found, "unchanged target", "pose") == 0
    assert found["good"].estimates["pose"].count == FRAMES
    assert found["good"].estimates["expression"].count == FRAMES
    assert value(found, "good", "identity_variance") > 0


def test_frames_are_spread_over_the_clip(root: Path) -> None:
    assert chosen_frames(100, 5) == [1, 25, 50, 74, 98]
    assert chosen_frames(3, 5) == chosen_frames(3, 0) == [0, 1, 2]
    assert len(make_pairs("video", root, frames=4)) == 4
    with pytest.raises(ReliableSwapError, match="--frames -1"):
        make_pairs("video", root, frames=-1)


def test_the_command_takes_the_number_of_frames(root: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--protocol", "video", "--faces", str(root)]
    assert command.settings_of(parser.parse_args([*words, "--frames", "7"])).frames == 7
    assert command.settings_of(parser.parse_args(words)).frames == 60
    assert "Clips of your own" in parser.format_help()
