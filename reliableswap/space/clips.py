"""Clips from clients: check them, find the people in them, and swap them, under a path that nobody can guess."""

from __future__ import annotations

import contextlib
import itertools
import math
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliableswap.errors import ClipError, NoFaceError, ReliableSwapError
from reliableswap.faces.draw import people_sheet
from reliableswap.faces.track import ClipFaces
from reliableswap.media import Picture
from reliableswap.media.video.info import picture_stream, probe
from reliableswap.media.video.library import clip_errors, open_clip
from reliableswap.pipelines.clip_people import carry_people
from reliableswap.pipelines.image import Engine
from reliableswap.pipelines.video import VideoProgress, VideoResult, VideoSettings

from .consent import NOTE, require_consent
from .files import File, publish, shared_storage, upload_name, uploaded_path
from .inputs import check_engine, check_sources, swap_options
from .limits import (
    MAX_CLIP_BYTES,
    MAX_CLIP_FRAMES,
    MAX_CLIP_MEGABYTES,
    MAX_CLIP_MEGAPIXELS,
    MAX_CLIP_SECONDS,
)
from .people import Trained, read_sources
from .work import Worker

_RESULT = "swapped.mp4"
_RESERVED_BYTES = 3 * MAX_CLIP_BYTES  # finished segments, the joined clip, and the signed one


@dataclass(frozen=True)
class ClipPart:
    """A client's clip, checked, and the part of it to work on, in seconds. name: its name on the client's machine."""

    path: Path
    name: str
    start: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, file: File | None, start: object = None, end: object = None) -> ClipPart:
        """Check an upload; raise ClipError if it is no clip, too large, too long or damaged."""
        path = uploaded_path(file, "clip", "a clip")
        part = cls(path, upload_name(file, path), _seconds(start, "start"), _seconds(end, "end"))
        with part.client_name_in_errors():
            part._check()
        return part

    def settings(self, quality: object = 85) -> VideoSettings:
        """Return the settings for this part: H.264, which browsers play, with the visible label."""
        if isinstance(quality, bool) or not isinstance(quality, (int, float)) or not 1 <= quality <= 100:
            raise ReliableSwapError(f"quality is {quality!r}; choose a number from 1 to 100")
        return VideoSettings(start=self.start, end=self.end, quality=int(quality), encoder="h264", label=True)

    @contextlib.contextmanager
    def client_name_in_errors(self) -> Iterator[None]:
        """Make errors raised inside name the clip as the client does, and show no path of this server."""
        try:
            yield
        except ReliableSwapError as error:
            text = str(error)
            for shown in (str(self.path), self.path.name):
                text = text.replace(shown, self.name)
            raise type(error)(text) from error

    def _check(self) -> None:
        size = self.path.stat().st_size
        if size > MAX_CLIP_BYTES:
            raise ClipError(
                f"{self.name} has {size / (1 << 20):.0f} MB (the limit is {MAX_CLIP_MEGABYTES} MB); make it smaller"
            )
        with open_clip(self.path) as container, clip_errors(self.name, "read"):
            context = picture_stream(container).codec_context
            width, height = int(context.width), int(context.height)
        if width * height > MAX_CLIP_MEGAPIXELS * 1_000_000:
            raise ClipError(
                f"{self.name} is {width}x{height} (the limit is {MAX_CLIP_MEGAPIXELS} megapixels, such as "
                "1920x1080); make it smaller"
            )
        VideoSettings(start=self.start, end=self.end)
        info = probe(self.path)
        info.check()
        if info.length is None:
            return  # _check_frames counts the frames instead
        length = min(float(info.length), math.inf if self.end is None else self.end) - (self.start or 0)
        if length <= 0:
            raise ClipError(f"{self.name} ends before start; choose an earlier start")
        # Tolerate the last frame's length, and rounding.
        if length > MAX_CLIP_SECONDS + 0.1 or length * float(info.rate) > MAX_CLIP_FRAMES + 2:
            raise _too_long(self.name)


@dataclass(frozen=True, eq=False)
class FoundPeople:
    """The people of a part of a clip. kept: the path beside which a swap of the same part finds them."""

    part: ClipPart
    faces: ClipFaces
    kept: Path


def find_people(
    worker: Worker, part: ClipPart, cancelled: threading.Event
) -> Iterator[VideoProgress | FoundPeople]:
    """Find the people in the clip; yield progress and, last, the people. End without them when cancelled."""
    found = None
    with _new_folder(_RESERVED_BYTES // 10) as folder, part.client_name_in_errors():
        output = folder / _RESULT
        with _cancellable(cancelled, worker.people(part.path, part.settings(), output)) as steps:
            for step in steps:
                if isinstance(step, VideoProgress):
                    _check_frames(step, part)
                    yield step
                else:
                    found = FoundPeople(part, step, output)
        if found is None:
            shutil.rmtree(folder)
    if found is not None:
        yield found


def swap_people(
    worker: Worker,
    sources: Mapping[int, File | Trained],
    part: ClipPart | FoundPeople,
    agreed: object,
    people: Mapping[int, int],
    engine: Engine,
    strengths: tuple[object, ...],
    quality: object,
    cancelled: threading.Event,
    attributes: object = None,
    age: object = 0,
) -> Iterator[VideoProgress | VideoResult]:
    """Swap people of a clip; yield progress and, last, the result. Leave nothing behind when cancelled or failed.

    people: {number of the person, from 1: number of the source}; strengths, attributes, age: see `inputs.swap_options`.
    """
    require_consent(agreed)
    found = part if isinstance(part, FoundPeople) else None
    part = part.part if isinstance(part, FoundPeople) else part
    options, settings = swap_options(strengths, attributes, age), part.settings(quality)
    check_engine(engine)
    check_sources(sources, people, "person")
    given = read_sources(sources)
    result = None
    with _new_folder(_RESERVED_BYTES) as folder, part.client_name_in_errors():
        output = folder / _RESULT
        if found is not None:
            carry_people(found.kept, output)
        job = worker.clip(given, part.path, output, people, engine, options, settings)
        with _cancellable(cancelled, job) as steps:
            for step in steps:
                if isinstance(step, VideoProgress):
                    _check_frames(step, part)
                    _check_size(folder, part)
                    shared_storage().mark_used(part.path)
                    yield step
                else:
                    result = step
        if result is None:
            shutil.rmtree(folder)
    if result is not None:
        yield result


def people_facts(found: FoundPeople) -> tuple[str, list[dict[str, Any]]]:
    """Return the path of a picture of all people, and each one's number, frames and best frame's box."""
    people = found.faces.people
    if not people:
        raise NoFaceError(f"no face found in {found.part.name}")
    sheet = publish(Picture(people_sheet(people), name=found.part.name), "people.png", None)
    facts = [
        {
            "person": one.number,
            "frames_seen": one.seen,
            "frames": found.faces.frames,
            "best_frame": one.best_frame,
            "box": [round(float(v), 1) for v in one.box],
        }
        for one in people
    ]
    return sheet, facts


def clip_facts(result: VideoResult) -> dict[str, Any]:
    """Return the report of a swap for the API."""
    hidden = {"output", "resumed_segments"}
    report = {name: value for name, value in result.report.items() if name not in hidden}
    return {**report, "note": f"{NOTE}: this clip does not show what happened."}


def last_step(steps: Iterator[Any]) -> Any:
    """Run all steps, and return the last one."""
    (last,) = deque(steps, maxlen=1)
    return last


@contextlib.contextmanager
def _new_folder(room: int) -> Iterator[Path]:
    """Create a folder in the storage with `room` bytes reserved; delete it if the body fails."""
    with shared_storage().reserved(room):
        folder = shared_storage().folder / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        try:
            yield folder
        except BaseException:  # also when the generator is closed because the browser is gone
            shutil.rmtree(folder, ignore_errors=True)
            raise


@contextlib.contextmanager
def _cancellable(cancelled: threading.Event, steps: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Give the steps until they end or are cancelled. On exit, close them, which ends their threads."""
    try:
        yield itertools.takewhile(lambda _: not cancelled.is_set(), steps)
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()


def _check_frames(step: VideoProgress, part: ClipPart) -> None:
    """Raise if there are too many frames: a clip may hold more than it declares."""
    if step.stage == "find" and step.frame > MAX_CLIP_FRAMES + 2:
        raise _too_long(part.name)


def _check_size(folder: Path, part: ClipPart) -> None:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    if size > _RESERVED_BYTES:
        raise ClipError(f"the result of {part.name} gets too large; choose a lower quality or a shorter part")


def _too_long(name: str) -> ClipError:
    return ClipError(
        f"{name} is too long: at most {MAX_CLIP_SECONDS} seconds and {MAX_CLIP_FRAMES} frames are swapped here; "
        "choose a shorter part with start and end"
    )


def _seconds(value: object, name: str) -> float | None:
    """Seconds, or None for the clip's own beginning or end."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ReliableSwapError(f"{name} is {value!r}; give a number of seconds, or leave it empty")
    return float(value) or None  # 0 is what an empty field of the page holds
