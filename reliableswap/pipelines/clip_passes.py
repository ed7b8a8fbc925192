"""The passes over a clip before the swap: find its faces, and let the gates check it."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reliableswap.errors import ClipError, NoFaceError, RefusedError, ReliableSwapError
from reliableswap.faces.track import ClipFaces, find_faces
from reliableswap.media.video.library import clip_errors
from reliableswap.media.video.reader import ClipReader
from reliableswap.media.video.times import FrameTimes, times_of
from reliableswap.provenance.watermark import default_watermark
from reliableswap.safety.clip import LOOKS, ClipGates
from reliableswap.safety.track import LookSchedule
from reliableswap.swap.networks import Networks
from reliableswap.swap.subject import Subject

from .clip_folder import WorkFolder
from .clip_steady import TargetVectors
from .clip_swap import FrameSwapper
from .overlap import Prefetch

if TYPE_CHECKING:
    from .clip_progress import Clock, VideoProgress
    from .video import VideoSettings

_DECIDES_FACES = ("clip", "start", "end", "networks", "analyser", "device", "tracking", "steady", "version")
_READ_MARKS = 6  # frames in which an earlier watermark is looked for


def find_people(
    folder: WorkFolder,
    reader: ClipReader,
    networks: Networks,
    video: VideoSettings,
    job: Mapping[str, Any],
    clock: Clock,
) -> Generator[VideoProgress, None, tuple[FrameTimes, ClipFaces]]:
    """Run the first pass, or load what it stored; return the frames' times and the faces in them."""
    decides = json.dumps({name: job[name] for name in _DECIDES_FACES}, sort_keys=True)
    fingerprint = hashlib.sha256(decides.encode()).hexdigest()
    known = ClipFaces.reuse(folder.faces, fingerprint)
    if known is not None:
        with suppress(OSError, ValueError, KeyError):
            times = FrameTimes.load(folder.times)
            if len(times) == known.frames:
                return times, known
    times, faces = yield from first_pass(reader, networks, video, clock, fingerprint)
    with clip_errors(folder.path.name, "written"):
        times.save(folder.times)
        faces.save(folder.faces)
    return times, faces


def first_pass(
    reader: ClipReader, networks: Networks, video: VideoSettings, clock: Clock, fingerprint: str = ""
) -> Generator[VideoProgress, None, tuple[FrameTimes, ClipFaces]]:
    """Read the clip once, and find its people."""
    info = reader.info
    begin, end = _range(reader, video)
    smooth = video.track.smooth and video.steady
    settings = replace(video.track, rate=float(info.rate), smooth=smooth)
    stamps: list[int] = []
    last = [1]
    done: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()

    def pixels() -> Iterator[np.ndarray]:
        with Prefetch(clock.busy.each("decode", reader.frames(begin, end)), 4) as frames:
            for frame in frames:
                if stop.is_set():
                    raise ClipError("stopped")
                stamps.append(frame.pts)
                last[0] = frame.duration
                yield frame.rgb

    def work() -> None:
        try:
            with clock.busy("find"):
                found = find_faces(
                    pixels(), networks, settings=settings, progress=done.put, fingerprint=fingerprint
                )
            done.put(found)
        except BaseException as error:  # raised in the caller's thread
            done.put(error)

    expected = _expected(reader, video)
    thread = threading.Thread(target=work, daemon=True, name="find")
    thread.start()
    try:
        while True:
            said = done.get()
            if isinstance(said, BaseException):
                # The plain error means that there was no frame; its subclasses say what is wrong.
                if not stamps and type(said) is ReliableSwapError:
                    raise ClipError(
                        f"{info.name} has no frame between start and end; choose another part"
                    ) from said
                raise said
            if isinstance(said, ClipFaces):
                return times_of(stamps, last[0], info.time_base), said
            yield clock("find", said, max(expected, said) if expected else None)
    finally:
        stop.set()
        thread.join()


def _range(reader: ClipReader, video: VideoSettings) -> tuple[int | None, int | None]:
    """Return start and end as timestamps."""
    info = reader.info
    first = info.first_pts or 0
    begin = None if video.start is None else first + int(np.ceil(video.start / info.time_base))
    end = None if video.end is None else first + int(np.ceil(video.end / info.time_base))
    return begin, end


def _expected(reader: ClipReader, video: VideoSettings) -> int | None:
    """Estimate how many frames there will be."""
    length = reader.info.length
    if length is None and video.end is None:
        return None
    until = min(value for value in (length, video.end) if value is not None)
    return max(1, round((float(until) - (video.start or 0)) * float(reader.info.rate)))


def look_frames(times: FrameTimes, faces: ClipFaces) -> list[int]:
    """Return the frames that the gates check for nudity: one per second, and wherever a face's track begins."""
    looks, known, numbers = LookSchedule(), set[int](), []
    for number in range(len(times)):
        tracks = {one.track for one in faces.numbers(number)}
        if looks.due(times.seconds(number), cut=bool(tracks - known)):
            numbers.append(number)
        known |= tracks
    return numbers


@dataclass(frozen=True, eq=False)
class Checked:
    """The results of `check_clip`. refused: by track. earlier_mark: the payload of the clip's own watermark, if any."""

    refused: dict[int, RefusedError]
    earlier_mark: int | None
    vectors: TargetVectors


def check_clip(
    reader: ClipReader,
    times: FrameTimes,
    faces: ClipFaces,
    swapper: FrameSwapper,
    gates: ClipGates,
    clock: Clock,
) -> Generator[VideoProgress, None, Checked]:
    """Let the gates check the target: for nudity, and for the age of the faces to be swapped."""
    frames_of: dict[int, list[int]] = {}
    for number in range(len(times)):
        for face in swapper.wanted(faces.numbers(number)):
            frames_of.setdefault(face.track, []).append(number)
    ages: dict[int, set[int]] = {}
    looks_at = {track: min(LOOKS, len(seen)) for track, seen in frames_of.items()}
    for track, seen in frames_of.items():
        count = looks_at[track]
        for step in range(count):
            ages.setdefault(seen[(2 * step + 1) * len(seen) // (2 * count)], set()).add(track)
    nudity = set(look_frames(times, faces))
    wanted = sorted(nudity | ages.keys())
    marks: list[np.ndarray] = []
    vectors = TargetVectors()
    every = max(1, len(wanted) // _READ_MARKS)
    with Prefetch(clock.busy.each("decode", reader.frames_at(wanted, times)), 2) as looks:
        for done, (number, frame) in enumerate(looks, 1):
            found = swapper.wanted(faces.at(number))
            if number in nudity:
                with clock.busy("gates"):
                    gates.add_target(gates.score(frame.rgb, [one.face.box for one in found]), number)
            for one in found:
                if one.track in ages.get(number, ()):
                    with suppress(NoFaceError):
                        subject = Subject.around(frame.rgb, one.face, reader.info.name, swapper.networks)
                        if swapper.uses_vectors:
                            with clock.busy("vectors"):  # the age gate uses them too
                                vectors.add(one.person, subject)
                        with clock.busy("gates"):
                            gates.add_face(one.track, one.person, subject, looks_at[one.track])
                            if swapper.age_change:
                                gates.add_aged(one.person, swapper.swap_single(subject, one.person))
            if done % every == 0 and len(marks) < _READ_MARKS:
                marks.append(frame.rgb)
            yield clock("check", done, len(wanted))
    with clock.busy("marks"):
        reading = default_watermark().read_many(marks)
    with clock.busy("gates"):
        gates.check_aged(swapper.age_change)
        earlier = None if reading is None else reading.payload
        return Checked(gates.refused_tracks(frames_of), earlier, vectors)
