"""Which clips the Space takes, and what a cancelled, failed or finished job leaves behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.clips import Made, moving

from reliableswap.errors import ClipError, PictureError, RefusedError, ReliableSwapError
from reliableswap.pipelines.video import VideoProgress, VideoResult, VideoSettings
from reliableswap.space import clips, files
from reliableswap.space.clips import ClipPart, FoundPeople, find_people, swap_people
from reliableswap.space.inputs import swap_options
from reliableswap.space.running import RunningJobs
from reliableswap.space.work import Worker


def stored(name: str) -> Path:
    """A path for an upload, as Gradio keeps them."""
    folder = files.shared_storage().folder / uuid.uuid4().hex
    folder.mkdir()
    return folder / name


def upload(path: Path, name: str = "Mine & yours.mp4") -> dict[str, Any]:
    return {"path": str(path), "orig_name": name}


@pytest.fixture(scope="module")
def clip() -> dict[str, Any]:
    return upload(Made(moving(12)).write(stored("clip.mp4")))


def test_a_clip_and_a_part_of_it_are_taken(clip: dict[str, Any]) -> None:
    part = ClipPart.of(clip, 0, 0)
    assert (part.name, part.start, part.end) == ("Mine & yours.mp4", None, None)
    part = ClipPart.of(clip, 0.1, 0.3)
    assert (part.start, part.end) == (0.1, 0.3)
    settings = part.settings(70)
    assert (settings.start, settings.end, settings.quality) == (0.1, 0.3, 70)
    assert settings.label
    assert settings.encoder == "h264"


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (0.3, 0.2, "give a later end"),
        (-1, 0, "start is -1"),
        (9, 0, "ends before start; choose an earlier start"),
        ("one", 0, "start is 'one'; give a number of seconds"),
        (True, 0, "start is True"),
        (0, float("nan"), "end is nan"),
        (0, float("inf"), "end is inf"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused(clip: dict[str, Any], start: Any, end: Any, said: str) -> None:
    with pytest.raises(ReliableSwapError, match=said):
        ClipPart.of(clip, start, end)


@pytest.mark.parametrize("quality", [0, 101, True, "85", None])
def test_a_quality_is_a_number(clip: dict[str, Any], quality: Any) -> None:
    with pytest.raises(ReliableSwapError, match="choose a number from 1 to 100"):
        ClipPart.of(clip).settings(quality)


def wrong_files() -> Iterator[tuple[str, bytes]]:
    yield "text", b"This is no clip, whatever its name says.\n" * 50
    yield "nothing", b""
    yield "a playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "a list of files", b"ffconcat version 1.0\nfile /etc/passwd\n"


@pytest.mark.parametrize(
    ("kind", "content"), wrong_files(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_file_other_than_a_clip_is_refused_under_its_original_name(kind: str, content: bytes) -> None:
    path = stored("notes.mp4")
    path.write_bytes(content)
    with pytest.raises(ClipError) as caught:
        ClipPart.of(upload(path, "notes of mine.mp4"))
    assert str(caught.value).startswith("notes of mine.mp4 is ")
    assert str(files.shared_storage().folder) not in str(caught.value)


def test_a_picture_is_no_clip() -> None:
    path = stored("photo.mp4")
    Image.new("RGB", (64, 64)).save(path, "PNG")
    with pytest.raises(ClipError, match="is not a clip"):
        ClipPart.of(upload(path))


def test_files_of_the_server_are_not_accepted_as_uploads() -> None:
    for path in ("/etc/passwd", __file__):
        with pytest.raises(PictureError, match="no longer here"):
            ClipPart.of({"path": path})
    with pytest.raises(PictureError, match="there is no clip; add a clip"):
        ClipPart.of(None)


def test_clips_over_the_limits_are_refused(clip: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "MAX_CLIP_SECONDS", 0.2)
    with pytest.raises(ClipError, match=r"is too long: at most 0\.2 seconds"):
        ClipPart.of(clip)
    ClipPart.of(clip, 0.1, 0.3)
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_CLIP_FRAMES", 5)
    with pytest.raises(ClipError, match="5 frames are swapped here; choose a shorter part"):
        ClipPart.of(clip)
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_CLIP_MEGAPIXELS", 0.01)
    with pytest.raises(ClipError, match=r"is 128x96 \(the limit is 0\.01 megapixels"):
        ClipPart.of(clip)
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_CLIP_BYTES", 1000)
    with pytest.raises(ClipError, match=r"MB \(the limit is 100 MB\); make it smaller"):
        ClipPart.of(clip)


class StubWorker:
    """A worker whose jobs take `count` frames, write beside their output, and raise `fails`, if given, at frame 3."""

    def __init__(self, count: int = 6, fails: Exception | None = None) -> None:
        self.count, self.fails, self.closed, self.place = count, fails, False, Path()
        self.people_given: Any = None
        self.options: Any = None

    def people(self, path: Path, settings: Any, output: Path) -> Iterator[Any]:
        parts = self._parts(output)
        (parts / "faces.npz").write_bytes(b"faces")
        (parts / "times.npz").write_bytes(b"times")
        yield from self._steps("find")
        yield SimpleNamespace(people=(), frames=self.count)

    def clip(
        self, sources: Any, path: Path, output: Path, people: Any, engine: Any, options: Any, video: Any
    ) -> Iterator[Any]:
        self.people_given, self.options = people, options
        yield from self._steps("swap", self._parts(output))
        output.write_bytes(b"clip")
        yield VideoResult(output, {})

    def _parts(self, output: Path) -> Path:
        self.place = output.parent
        parts = output.with_name(output.name + ".parts")
        parts.mkdir(exist_ok=True)
        return parts

    def _steps(self, stage: Any, parts: Path | None = None) -> Iterator[VideoProgress]:
        try:
            for frame in range(1, self.count + 1):
                if parts is not None:
                    (parts / f"{frame}.mkv").write_bytes(bytes(1000))
                yield VideoProgress(stage, frame, self.count, None, {})
                if self.fails and frame == 3:
                    raise self.fails
        finally:
            self.closed = True


STRENGTHS = (1.0, 0.5, 1.0, 0.65, 1.0)


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    path = stored("me.png")
    Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(path)
    return upload(path, "me.png")


def swapping(work: StubWorker, part: Any, source: Any, cancelled: Event, agreed: Any = True) -> Iterator[Any]:
    worker: Any = work
    return swap_people(worker, {0: source}, part, agreed, {1: 0}, "auto", STRENGTHS, 85, cancelled)


def test_a_finished_job_leaves_its_result(clip: Any, source: Any) -> None:
    work = StubWorker()
    *progress, last = swapping(work, ClipPart.of(clip), source, Event())
    assert [step.frame for step in progress] == [1, 2, 3, 4, 5, 6]
    assert last.path.read_bytes() == b"clip"
    assert last.path.is_relative_to(files.shared_storage().folder)
    assert work.people_given == {1: 0}


def test_parts_and_age_reach_the_job(clip: Any, source: Any) -> None:
    work: Any = StubWorker()
    given = (work, {0: source}, ClipPart.of(clip), True, {1: 0}, "auto", STRENGTHS, 85, Event())
    list(swap_people(*given, attributes="brows=target", age=8))
    assert work.options["attributes"] == {"brows": "target"}
    assert (work.options["age"], work.options["shape"]) == (8.0, 0.5)
    with pytest.raises(ReliableSwapError, match="age is 16"):
        list(swap_people(*given, age=16))


def test_a_clips_options_become_settings(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}
    pipe: Any = SimpleNamespace(
        prepare=lambda picture: picture, video=lambda *_, **given: seen.update(given) or ()
    )
    worker = object.__new__(Worker)
    worker.pipe = pipe
    options = swap_options(STRENGTHS, {"brows": "target"}, -5)
    list(worker._clip({0: "photo"}, tmp_path, tmp_path, {2: 0}, "blend", options, VideoSettings()))  # type: ignore[dict-item]
    settings = seen["settings"]
    assert (settings.age, settings.shape, settings.attributes.brows) == (-5, 0.5, "target")
    assert seen["people"] == {2: "photo"}


def test_a_cancelled_job_leaves_nothing(clip: Any, source: Any) -> None:
    work, cancelled, steps = StubWorker(), Event(), []
    for step in swapping(work, ClipPart.of(clip), source, cancelled):
        steps.append(step)
        if step.frame == 3:
            cancelled.set()
    assert [step.frame for step in steps] == [1, 2, 3]
    assert work.closed
    assert not work.place.exists()


def test_a_job_whose_browser_is_gone_leaves_nothing(clip: Any, source: Any) -> None:
    work = StubWorker()
    job = swapping(work, ClipPart.of(clip), source, Event())
    next(job)
    assert work.place.exists()
    job.close()  # type: ignore[attr-defined]
    assert work.closed
    assert not work.place.exists()


@pytest.mark.parametrize("error", [RefusedError("refused"), OSError("disk"), ClipError("damaged")])
def test_a_failed_job_leaves_nothing(clip: Any, source: Any, error: Exception) -> None:
    work = StubWorker(fails=error)
    with pytest.raises(type(error)):
        list(swapping(work, ClipPart.of(clip), source, Event()))
    assert not work.place.exists()


def test_nothing_begins_without_consent(clip: Any, source: Any) -> None:
    work = StubWorker()
    with pytest.raises(ReliableSwapError, match="please confirm"):
        list(swapping(work, ClipPart.of(clip), source, Event(), agreed="yes"))
    assert work.people_given is None


def test_a_clip_with_more_frames_than_it_says_is_stopped(clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    work: Any = StubWorker(count=40)
    part = ClipPart.of(clip)
    monkeypatch.setattr(clips, "MAX_CLIP_FRAMES", 20)
    with pytest.raises(ClipError, match="too long"):
        list(find_people(work, part, Event()))
    assert work.closed


def test_a_result_that_grows_too_large_is_stopped(
    clip: Any, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = StubWorker()
    monkeypatch.setattr(clips, "_RESERVED_BYTES", 2500)
    with pytest.raises(ClipError, match="gets too large; choose a lower quality or a shorter part"):
        list(swapping(work, ClipPart.of(clip), source, Event()))
    assert not work.place.exists()


def test_faces_that_were_found_are_reused_by_the_swap(clip: Any, source: Any) -> None:
    work: Any = StubWorker()
    *_, found = find_people(work, ClipPart.of(clip), Event())
    assert isinstance(found, FoundPeople)
    list(swapping(work, found, source, Event()))
    parts = work.place / "swapped.mp4.parts"
    assert (parts / "faces.npz").read_bytes() == b"faces"
    assert (parts / "times.npz").read_bytes() == b"times"
    assert found.kept.parent != work.place, "a second swap does not touch the first one's result"


def test_a_tab_cancels_its_own_job_only() -> None:
    running = RunningJobs()
    with running.job("one") as one, running.job("other") as other:
        running.cancel("one")
        running.cancel("nobody")
        assert one.is_set()
        assert not other.is_set()
    running.cancel("other")
    assert not other.is_set(), "it has ended already"
