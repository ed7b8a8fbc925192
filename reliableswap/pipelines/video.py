"""Swap the faces of a clip: find them, check them, swap segment by segment, and join."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from reliableswap import __version__
from reliableswap.errors import ClipError, ReliableSwapError
from reliableswap.faces.track import TrackSettings
from reliableswap.media.video.colour import check_depth
from reliableswap.media.video.encoders import Encoding
from reliableswap.media.video.info import ClipInfo, probe
from reliableswap.media.video.join import check_streams
from reliableswap.media.video.outputs import check_clip_output
from reliableswap.media.video.reader import ClipReader
from reliableswap.provenance.clip import read_clip_mark
from reliableswap.provenance.credentials import Credentials
from reliableswap.provenance.origin import Origin, origin_of_file
from reliableswap.provenance.record import Record
from reliableswap.safety.clip import ClipGates
from reliableswap.safety.consent import Consent
from reliableswap.swap.networks import Networks
from reliableswap.swap.person import Person
from reliableswap.swap.settings import SwapSettings

from .clip_choice import People as People
from .clip_choice import left_alone, people_report, sources_of
from .clip_folder import WorkFolder
from .clip_passes import check_clip, find_people
from .clip_segments import Second, Segments
from .clip_swap import FrameSwapper
from .inputs import PictureLike, Source
from .options import Engine
from .overlap import Busy
from .people import person_of
from .trained import engines_of, for_engine

if TYPE_CHECKING:
    from .image import ReliableSwapPipeline

Stage = Literal["find", "check", "swap", "join"]


@dataclass(frozen=True)
class VideoSettings:
    """How a clip is worked on, whoever is in it.

    start, end: seconds after the clip's first frame; the result holds that part only. quality: of the encoder, 1 to
    100. encoder: "auto" (the clip's own codec, or H.264) or a name of media.video.encoders. segment: seconds that are
    encoded, and lost at most by a kill, at a time. on_interrupt: "resume" leaves only the work folder, "keep" also a
    playable file of what is done. fresh: throw away the segments of an earlier run with other settings. label: every
    frame says "Made by AI" in a corner. track: how faces are followed; its rate is the clip's.
    """

    start: float | None = None
    end: float | None = None
    quality: int = 85
    encoder: str = "auto"
    segment: float = 4.0
    on_interrupt: Literal["resume", "keep"] = "resume"
    fresh: bool = False
    label: bool = False
    track: TrackSettings = field(default_factory=TrackSettings)

    def __post_init__(self) -> None:
        if self.start is not None and self.start < 0:
            raise ReliableSwapError(f"start is {self.start}; give seconds after the clip's first frame")
        if self.end is not None and self.end <= (self.start or 0):
            raise ReliableSwapError(f"end is {self.end}, and start {self.start or 0}; give a later end")
        if not self.segment > 0:
            raise ReliableSwapError(f"segment is {self.segment}; give a number of seconds above 0")
        if self.on_interrupt not in ("resume", "keep"):
            raise ReliableSwapError(f"unknown on_interrupt {self.on_interrupt!r}; choose resume or keep")


@dataclass(frozen=True)
class VideoProgress:
    """Where a run is. frame of frames: of this stage; frames is None while the clip's length is not known.

    seconds_left: until the stage ends, None at its beginning. seconds: how long each part of the work was busy; parts
    overlap.
    """

    stage: Stage
    frame: int
    frames: int | None
    seconds_left: float | None
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class VideoResult:
    """The finished clip, and what was done as plain values, ready for JSON."""

    path: Path
    report: Mapping[str, Any]


class Clock:
    """Makes progress reports with the time left."""

    def __init__(self, busy: Busy) -> None:
        self.busy, self._stage, self._began, self._first = busy, "", 0.0, 0

    def __call__(self, stage: Stage, frame: int, frames: int | None) -> VideoProgress:
        now = time.perf_counter()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, frame
        done = frame - self._first
        left = None if frames is None or not done else round((now - self._began) / done * (frames - frame), 1)
        return VideoProgress(stage, frame, frames, left, self.busy.shares())


def swap_clip(
    pipe: ReliableSwapPipeline,
    source: Source | Sequence[PictureLike] | None,
    clip: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    people: People,
    engine: Engine,
    settings: SwapSettings,
    video: VideoSettings,
    consent: str | Consent | None,
    overwrite: bool,
    signer: Credentials | None,
) -> Iterator[VideoProgress | VideoResult]:
    """What `ReliableSwapPipeline.video` does."""
    began, busy = time.perf_counter(), Busy()
    info, target, folder, encoding = _checked(clip, output, video, overwrite)
    chosen, networks = pipe.choose_engine(engine), pipe.networks()
    gates, clock = ClipGates(pipe.safety, info.name), Clock(busy)
    with busy("prepare"):
        given: Mapping[int, Any] = people if isinstance(people, Mapping) else {0: source}
        if any(one is None for one in given.values()) or not given:
            raise ReliableSwapError("no source was given; pass one, or people={1: a photo} for each person")
        prepared = {number: for_engine(_person(pipe, one, networks), engine) for number, one in given.items()}
        gates.check_sources(prepared.values())
        origin = clip_origin(info)
    with folder:
        used = engines_of(list(prepared.values()), chosen)
        job = _job(pipe, info, origin, used, settings, video, encoding, people, prepared)
        stated = Consent.of(consent)
        fresh_record = Record()
        said = None if stated is None else asdict(stated)
        new = {"id": fresh_record.id, "time": fresh_record.time, "consent": said}
        kept = folder.begin(job, new, fresh=video.fresh)

        reader = ClipReader(info)
        times, faces = yield from find_people(folder, reader, networks, video, job, clock)
        sources = sources_of(people, prepared, faces, info)
        swapper = FrameSwapper(info.name, sources, chosen, settings, networks)
        checked = yield from check_clip(reader, times, faces, swapper, gates, clock)
        explicit = isinstance(people, Mapping) or people == "first"
        alone = left_alone(checked.refused, faces, sources, explicit)
        refused = frozenset(checked.refused)
        swapper = FrameSwapper(info.name, sources, chosen, settings, networks, refused, checked.vectors)

        record = Record(
            target=origin,
            sources=list({one.sha256: one for person in sources.values() for one in person.origins}.values()),
            engine=used,
            settings=asdict(settings),
            networks=pipe.checksums(),
            consent=kept["consent"],
            id=kept["id"],
            time=kept["time"],
        )
        second = Second(
            folder,
            reader,
            times,
            faces,
            swapper,
            gates,
            encoding,
            record,
            checked.earlier_mark,
            video,
            target,
            signer,
            busy,
        )
        facts = yield from Segments(second, clock, overwrite or folder.may_replace()).run()
        gates.passed()
        report = {
            "clip": info.name,
            "output": str(output),
            "engine": used,
            "attributes": settings.attributes.changed,
            "age": settings.age,
            "device": pipe.place,
            "frames": len(times),
            "width": info.width,
            "height": info.height,
            "encoder": encoding.key,
            "people": people_report(faces, sources, facts["swapped"], alone),
            "frames_swapped": facts["frames_swapped"],
            "failed": facts["failed"],
            "copied": facts["copied"],
            "left_out": facts["left_out"],
            "resumed_segments": facts["resumed"],
            "consent": kept["consent"],
            "seconds": round(time.perf_counter() - began, 2),
            "stages": busy.shares(),
        }
        folder.remove()
    yield VideoResult(Path(output), report)


def _checked(
    clip: str | os.PathLike[str], output: str | os.PathLike[str], video: VideoSettings, overwrite: bool
) -> tuple[ClipInfo, Path, WorkFolder, Encoding]:
    """What can be refused before any work is."""
    target = check_clip_output(output, overwrite=True)
    folder = WorkFolder(target)
    if not folder.may_replace():
        check_clip_output(output, overwrite=overwrite)
    info = probe(clip)
    info.check()
    check_depth(info)
    if target == info.path.resolve():
        raise ClipError(f"{info.name} is both the clip and the output; give another name for the output")
    encoding = Encoding.choose(video.encoder, video.quality, info, ClipReader(info).colours)
    check_streams(info, target)
    return info, target, folder, encoding


def _person(pipe: ReliableSwapPipeline, given: Any, networks: Networks) -> Person:
    """A source; a list of photos is one person."""
    with torch.inference_mode():
        if isinstance(given, (list, tuple)):
            given = pipe.prepare(list(given))
        person: Person = person_of(given, networks, pipe.analyser)
        return person


def clip_origin(info: ClipInfo) -> Origin:
    """The clip as the record of provenance names it."""
    kinds = {"mov,mp4,m4a,3gp,3g2,mj2": "video/mp4", "matroska,webm": "video/x-matroska"}
    kind = "video/quicktime" if info.path.suffix.lower() == ".mov" else kinds.get(info.container, "")
    with info.path.open("rb") as stream:
        return origin_of_file(stream, kind, read_clip_mark(stream))


def _job(
    pipe: ReliableSwapPipeline,
    info: ClipInfo,
    origin: Origin,
    engine: str,
    settings: SwapSettings,
    video: VideoSettings,
    encoding: Encoding,
    people: People,
    prepared: Mapping[int, Person],
) -> dict[str, Any]:
    """Everything that decides the result; a run goes on only where all of it is the same."""
    return {
        **faces_job(pipe, origin, video),
        "people": people if isinstance(people, str) else sorted(people),
        "sources": {
            str(number): [one.sha256 for one in person.origins] for number, person in prepared.items()
        },
        "engine": engine,
        "settings": asdict(settings),
        "encoder": encoding.key,
        "quality": encoding.quality,
        "segment": video.segment,
        "label": video.label,
    }


def faces_job(pipe: ReliableSwapPipeline, origin: Origin, video: VideoSettings) -> dict[str, Any]:
    """Everything that decides which faces are found."""
    return {
        "clip": origin.sha256,
        "start": video.start,
        "end": video.end,
        "networks": {name: list(known) for name, known in pipe.checksums().items()},
        "analyser": pipe.analyser.name,
        "device": pipe.place,
        "tracking": asdict(video.track),
        "version": __version__,
    }
