"""Swapping a clip: the result, refusals, and resuming after an interrupt."""

from __future__ import annotations

import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from support.clip_runs import BOX, ID, Run
from support.clips import Made, moving, packets, pictures, stamps
from support.executors import Backwards

import reliableswap
from reliableswap.errors import ClipError, NoFaceError, RefusedError, ReliableSwapError
from reliableswap.jobs.units import Maker
from reliableswap.pipelines.clip_nodes import SegmentMaker
from reliableswap.pipelines.clip_segments import Segments
from reliableswap.pipelines.clip_steady import ClipSteady
from reliableswap.pipelines.video import VideoProgress, VideoResult, VideoSettings
from reliableswap.provenance.origin import Origin
from reliableswap.provenance.watermark import default_watermark
from reliableswap.swap.person import Person

RED = (250, 20, 20)
SHORT = VideoSettings(segment=0.4)  # ten frames
FRESH = VideoSettings(segment=0.4, fresh=True)
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-four frames with sound: four segments of ten, and one of four."""
    return Made(moving(44, 144, 192), sound=True).write(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of an uninterrupted run."""
    output = tmp_path_factory.mktemp("whole") / "out.mp4"
    Run().result(clip, output)
    return output


def painted(frame: np.ndarray, left: int = BOX[0]) -> bool:
    inside = frame[BOX[1] + 14 : BOX[3] - 6, left + 6 : left + 34].astype(int)
    return bool(np.abs(inside - RED).mean() < 25)


def same_pictures(one: Path, other: Path) -> bool:
    """Whether two clips decode to the same frames."""
    a, b = pictures(one), pictures(other)
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def test_a_clip_comes_out_swapped_marked_and_otherwise_the_same(clip: Path, whole: Path) -> None:
    assert stamps(whole) == stamps(clip)
    assert packets(whole, "audio") == packets(clip, "audio")
    before, after = pictures(clip), pictures(whole)
    assert all(map(painted, after))
    outside = [np.abs(a[:, 100:].astype(int) - b[:, 100:]).mean() for a, b in zip(before, after, strict=True)]
    assert max(outside) < 4
    found = reliableswap.verify(whole)
    assert found.manifest is not None
    assert found.mark is not None
    assert found.mark.details["consent"] == "Everybody agreed."
    assert found.agree is True
    assert not whole.with_name("out.mp4.parts").exists()


def test_progress_counts_up_and_ends_with_the_report(clip: Path, tmp_path: Path) -> None:
    *steps, result = Run()(clip, tmp_path / "out.mp4")
    assert isinstance(result, VideoResult)
    stages = [step.stage for step in steps if isinstance(step, VideoProgress)]
    assert sorted(set(stages), key=stages.index) == ["find", "check", "swap", "join"]
    swap = [step for step in steps if isinstance(step, VideoProgress) and step.stage == "swap"]
    assert [step.frame for step in swap] == list(range(1, 45))
    assert swap[-1].seconds_left == 0
    report = json.loads(json.dumps(result.report))
    assert (report["frames"], report["frames_swapped"], report["encoder"]) == (44, 44, "h264")
    assert report["people"][0] == {
        "person": 1, "frames_seen": 44, "frames_swapped": 44, "source": "source", "tracks_refused": 0
    }  # fmt: skip
    assert {"decode", "swap", "encode", "mark", "gates"} <= report["stages"].keys()


@pytest.mark.parametrize("extension", [".mov", ".mkv"])
def test_other_containers_are_marked_too(clip: Path, tmp_path: Path, extension: str) -> None:
    output = tmp_path / f"out{extension}"
    Run().result(clip, output)
    found = reliableswap.verify(output)
    assert found.made_here
    assert found.agree is True
    assert (found.manifest is not None) == (extension == ".mov")


@pytest.mark.slow
def test_people_get_their_own_sources(clip: Path, tmp_path: Path) -> None:
    for people, expected in (("first", [True, False]), ("all", [True, True]), ([2], [False, True])):
        output = tmp_path / "out.mp4"
        Run(people=2).result(clip, output, people=people, overwrite=True)
        frame = pictures(output)[20]
        assert [painted(frame), painted(frame, BOX[0] + 40)] == expected
    report = Run(people=2).result(clip, output, people={1: "a", 2: "b"}, overwrite=True).report
    assert [person["source"] for person in report["people"]] == ["a", "b"]
    with pytest.raises(NoFaceError, match="no person 3; it shows persons 1 to 2"):
        Run(people=2).result(clip, output, people=[3], overwrite=True)


def test_a_part_of_the_clip(clip: Path, tmp_path: Path) -> None:
    video = VideoSettings(start=0.5, end=1.0, segment=0.4)
    report = Run().result(clip, tmp_path / "out.mp4", video=video).report
    assert report["frames"] == 12
    assert stamps(tmp_path / "out.mp4") == [one - stamps(clip)[13] for one in stamps(clip)[13:25]]


def test_a_clip_without_a_face_writes_nothing(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(NoFaceError, match="no face found in clip"):
        Run(people=0).result(clip, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_refusal_by_the_gates_leaves_no_files(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    for run, said in (
        (Run(nude_target=True), "seems to show"),
        (Run(nude_result=True), "the result was"),
    ):
        with pytest.raises(RefusedError, match=said):
            run.result(clip, output)
        assert run.gates.counts["refused: nudity"] == 1
    with pytest.raises(RefusedError, match=r"person 1 in clip\.mp4 may be that of a person under 18"):
        Run(young=(1,)).result(clip, output)
    assert not output.exists()
    assert not list(tmp_path.glob("**/*.mkv"))


@pytest.mark.parametrize("name", ["start", "end", "segment"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_seconds_have_to_be_finite(name: str, value: float) -> None:
    with pytest.raises(ReliableSwapError, match=f"{name} is {value}"):
        VideoSettings(**{name: value})


@pytest.mark.slow
def test_a_face_that_may_be_a_minor_s_is_left_alone_among_others(clip: Path, tmp_path: Path) -> None:
    report = Run(people=2, young=(2,)).result(clip, tmp_path / "out.mp4", people="all").report
    frame = pictures(tmp_path / "out.mp4")[20]
    assert [painted(frame), painted(frame, BOX[0] + 40)] == [True, False]
    assert report["people"][1]["tracks_refused"] == 1
    with pytest.raises(RefusedError):
        Run(people=2, young=(2,)).result(clip, tmp_path / "other.mp4", people={1: "a", 2: "b"})


@pytest.mark.parametrize("people", [[1, 2], {1: "a", 2: "b"}])
def test_a_refused_person_who_was_chosen_by_number_refuses_the_clip(
    people: Any, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=r"person 1 in clip\.mp4 may be that of a person under 18"):
        Run(people=2, young=(1,)).result(clip, tmp_path / "out.mp4", people=people)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 7, 25, 43])
def test_an_interrupted_run_goes_on(clip: Path, whole: Path, tmp_path: Path, after: int) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        Run(stop_after=after).result(clip, output)
    assert not output.exists()
    run, done = Run(), after // 10 * 10
    report = run.result(clip, output).report
    assert report["resumed_segments"] == after // 10
    assert run.swapped == 44 - done + min(done, ClipSteady().run_up)
    assert stamps(output) == stamps(whole)
    assert same_pictures(output, whole)
    assert reliableswap.verify(output).agree is True


def test_a_consent_given_when_resuming_is_recorded(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    said = []
    for statement in (None, "They agreed.", None):
        with pytest.raises(KeyboardInterrupt):
            Run(stop_after=15).result(clip, output, consent=statement)
        kept = json.loads((tmp_path / "out.mp4.parts" / "job.json").read_text())["new"]
        said.append(kept["consent"] and kept["consent"]["statement"])
    assert said == [None, "They agreed.", "They agreed."]
    report = Run(identifier="another").result(clip, output, consent="They agreed in writing.").report
    assert report["resumed_segments"] == 1
    assert report["consent"]["statement"] == "They agreed in writing."
    found = reliableswap.verify(output)
    assert found.manifest is not None
    assert found.manifest.statement["consent"]["statement"] == "They agreed in writing."
    assert (found.manifest.label, found.agree) == (ID, True)


def test_an_interrupt_can_leave_a_playable_file(clip: Path, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    keep = VideoSettings(segment=0.4, on_interrupt="keep")
    steps = Run()(clip, output, video=keep)
    for step in steps:
        if isinstance(step, VideoProgress) and step.stage == "swap" and step.frame == 25:
            break
    steps.close()  # type: ignore[attr-defined]
    assert stamps(output) == stamps(clip)[:25]
    assert packets(output, "audio")[0] == [one for one in packets(clip, "audio")[0] if 0 <= one[0] < 1]
    assert reliableswap.verify(output).made_here
    Run().result(clip, output, video=keep)  # replaces the unfinished file without overwrite=True
    assert same_pictures(output, whole)
    with pytest.raises(ClipError, match="exists already"):
        Run().result(clip, output, video=keep)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_a_watermark_whose_metadata_was_lost_is_remembered(name: str, tmp_path: Path) -> None:
    mark = default_watermark()
    frames = [mark.embed(frame, 0x1234ABCD) for frame in moving(12, 144, 192)]
    bare = Made(frames).write(tmp_path / "bare.mp4")
    Run().result(bare, tmp_path / name)
    found = reliableswap.verify(tmp_path / name).mark
    assert found is not None
    assert [event.parameters for event in found.history][:-1] == ["watermark 1234abcd"]


def test_segments_from_an_executor_are_the_same(clip: Path, whole: Path, tmp_path: Path) -> None:
    output, executor, run = tmp_path / "out.mp4", Backwards(copies=False), Run()
    report = run.result(clip, output, executor=executor).report
    assert executor.units == [4, 3, 2, 1, 0]
    assert run.passes == 1
    assert (report["frames_swapped"], report["resumed_segments"]) == (44, 0)
    assert {"swap", "encode", "join"} <= report["stages"].keys()
    assert stamps(output) == stamps(whole)
    assert same_pictures(output, whole)
    assert reliableswap.verify(output).agree is True


def test_nodes_get_the_sources_of_several_people(clip: Path, tmp_path: Path) -> None:
    people = {1: "a.jpg", 2: Person("alice", (), (Origin("0" * 64),), decoder="alice")}
    seen: list[Any] = []

    class Looking(Backwards):
        def __call__(self, maker: Maker[Result], units: Sequence[Any]) -> Generator[Result, None, None]:
            assert isinstance(maker, SegmentMaker)
            seen.append(pickle.loads(pickle.dumps((maker.order.given, maker.order.people))))
            raise ReliableSwapError("that was all")

    with pytest.raises(ReliableSwapError, match="that was all"):
        Run(people=2).result(clip, tmp_path / "out.mp4", people=people, executor=Looking())
    given, asked = seen[0]
    assert given.keys() == asked.keys() == {1, 2}
    assert given[1] == Path("a.jpg").absolute()
    assert asked[2].name == "alice"


def test_existing_segments_are_not_sent_to_the_executor(clip: Path, whole: Path, tmp_path: Path) -> None:
    output, executor = tmp_path / "out.mp4", Backwards(copies=False)
    with pytest.raises(KeyboardInterrupt):
        Run(stop_after=25).result(clip, output)
    report = Run().result(clip, output, executor=executor).report
    assert executor.units == [4, 3, 2]
    assert report["resumed_segments"] == 2
    assert same_pictures(output, whole)


def test_a_refusal_on_a_node_leaves_no_files(clip: Path, tmp_path: Path) -> None:
    output, executor = tmp_path / "out.mp4", Backwards(copies=False)
    with pytest.raises(RefusedError, match="the result was"):
        Run(nude_result=True).result(clip, output, executor=executor)
    assert 0 not in executor.units  # no further unit is begun
    assert not list(tmp_path.iterdir())


def test_a_node_with_other_files_or_networks_is_an_error(clip: Path, tmp_path: Path) -> None:
    class Elsewhere(Backwards):
        """A node where `change` is applied to the files or to the maker."""

        def __init__(self, change: Callable[[Any], object]) -> None:
            super().__init__(copies=False)
            self.change = change

        def __call__(self, maker: Maker[Result], units: Sequence[Any]) -> Generator[Result, None, None]:
            self.change(maker)
            return super().__call__(maker, units)

    output, copy = tmp_path / "out.mp4", tmp_path / "copy.mp4"
    begun = output.with_name("out.mp4.parts") / "job.json"
    with pytest.raises(ClipError, match=r"does not see the caller's .*out\.mp4\.parts"):
        Run().result(clip, output, executor=Elsewhere(lambda _: begun.unlink()))
    copy.write_bytes(clip.read_bytes())
    with pytest.raises(ReliableSwapError, match=r"does not see .*copy\.mp4"):
        Run().result(copy, output, video=FRESH, executor=Elsewhere(lambda _: copy.unlink()))
    other = Elsewhere(lambda maker: maker.load().__dict__.update(place="openvino"))
    with pytest.raises(ClipError, match=r"would give a different result \(device\)"):
        Run().result(clip, output, video=FRESH, executor=other)


def test_without_steadying_no_frame_is_swapped_twice(clip: Path, tmp_path: Path) -> None:
    output, plain = tmp_path / "out.mp4", VideoSettings(segment=0.4, steady=False)
    with pytest.raises(KeyboardInterrupt):
        Run(stop_after=25).result(clip, output, video=plain)
    with pytest.raises(ClipError, match=r"different settings \(steady\)"):
        Run().result(clip, output)
    run = Run()
    assert run.result(clip, output, video=plain).report["resumed_segments"] == 2
    assert run.swapped == 44 - 20


def test_unfinished_work_is_not_resumed_with_other_settings(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        Run(stop_after=25).result(clip, output)
    other = VideoSettings(segment=0.4, quality=60)
    with pytest.raises(ClipError, match=r"different settings \(quality\)"):
        Run().result(clip, output, video=other)
    report = Run().result(clip, output, video=VideoSettings(segment=0.4, quality=60, fresh=True)).report
    assert report["resumed_segments"] == 0


def test_other_settings_start_anew_if_nothing_is_finished(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(NoFaceError, match="only person 1"):
        Run().result(clip, output, people=[3], video=SHORT)
    assert Run().result(clip, output, people=1, video=SHORT).report["frames_swapped"] == 44


def test_faces_are_steadied_anew_where_steadying_changes(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        Run(stop_after=25).result(clip, output, video=SHORT)
    run = Run()
    run.result(clip, output, video=VideoSettings(segment=0.4, steady=False, fresh=True))
    assert run.passes == 1


@pytest.mark.parametrize(
    ("people", "message"),
    [("firts", "'first', 'all', numbers"), ([], "at least one number"), ([1.5], "whole"), ([True], "whole")],
)
def test_invalid_people_are_reported_before_the_clip_is_read(
    people: Any, message: str, clip: Path, tmp_path: Path
) -> None:
    run = Run()
    with pytest.raises(ReliableSwapError, match=message):
        run.result(clip, tmp_path / "out.mp4", people=people)
    assert run.passes == 0
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_work_folder_is_reported(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4.parts").write_text("")
    with pytest.raises(ClipError, match="the work folder needs this name"):
        Run().result(clip, tmp_path / "out.mp4")


def test_a_damaged_segment_is_reported(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        Run(stop_after=25).result(clip, output)
    segment = output.with_name("out.mp4.parts") / "000001.mkv"
    segment.write_bytes(segment.read_bytes()[:-2000])
    with pytest.raises(ClipError, match=r"000001\.mkv"):
        Run().result(clip, output)
    segment.unlink()
    assert Run().result(clip, output).report["resumed_segments"] == 1


def test_two_runs_do_not_write_the_same_output_at_once(clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    steps = Run()(clip, tmp_path / "out.mp4")
    next(steps)
    with pytest.raises(ClipError, match="another process"):
        Run().result(clip, tmp_path / "out.mp4")
    steps.close()  # type: ignore[attr-defined]


def test_a_full_disk_keeps_what_is_finished(
    clip: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, made = tmp_path / "out.mp4", []
    original = Segments._segment

    def full(self: Segments, number: int):  # type: ignore[no-untyped-def]
        made.append(number)
        limit = 3000 if number == 2 else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        yield from original(self, number)

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    monkeypatch.setattr(Segments, "_segment", full)
    try:
        with pytest.raises(ClipError, match="the disk is full"):
            Run().result(clip, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert made == [0, 1, 2]
    assert not output.exists()
    assert not list(output.with_name("out.mp4.parts").glob(".reliableswap-*"))
    monkeypatch.undo()
    assert Run().result(clip, output).report["resumed_segments"] == 2
    assert same_pictures(output, whole)


@pytest.mark.slow
def test_a_repeatedly_killed_run_gives_the_same_frames(clip: Path, whole: Path, tmp_path: Path) -> None:
    output, chance = tmp_path / "out.mp4", random.Random(0)
    command = [sys.executable, "-m", "support.clip_runs", str(clip), str(output), "0.01"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    killed, finished, ended = 0, set(), ""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as runs:  # type: ignore[call-overload]
        for after in [chance.randrange(1, 18) for _ in range(6)] + [1000]:  # frames of the second pass
            print("run", file=runs.stdin, flush=True)
            child, swapped = int(runs.stdout.readline()), 0
            for line in runs.stdout:
                if line.startswith("ended"):
                    ended = line.strip()
                    break
                swapped += line == "swap\n"
                if line == "swap\n" and swapped == after:
                    time.sleep(chance.uniform(0, 0.03))
                    os.kill(child, signal.SIGKILL)
            if ended == "ended 0":
                break
            assert ended == "ended -9"
            killed += 1
            finished |= {path.name for path in output.with_name("out.mp4.parts").glob("0*.mkv")}
    assert ended == "ended 0"
    assert killed >= 3
    assert finished
    assert stamps(output) == stamps(whole)
    assert same_pictures(output, whole)
    assert packets(output, "audio") == packets(clip, "audio")


def test_contradictory_settings_are_reported(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ReliableSwapError, match="later end"):
        VideoSettings(start=2, end=1)
    with pytest.raises(ClipError, match="both the clip and the output"):
        Run().result(clip, clip, overwrite=True)
    with pytest.raises(ClipError, match="end the name with one of"):
        Run().result(clip, tmp_path / "out.avi")
    with pytest.raises(ClipError, match="unknown encoder"):
        Run().result(clip, tmp_path / "out.mp4", video=VideoSettings(encoder="h263"))


def test_a_marked_clip_is_marked_anew_and_its_history_goes_on(whole: Path, tmp_path: Path) -> None:
    again = Run(identifier="urn:c2pa:7d0c4b1e-93b4-4c55-8a55-0f6ad9f2c9b0")
    again.result(whole, tmp_path / "out.mp4", video=VideoSettings(end=0.4))
    found = reliableswap.verify(tmp_path / "out.mp4")
    assert found.mark is not None
    assert found.mark.made_here
    assert len(found.mark.history) >= 2
