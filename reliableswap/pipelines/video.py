"""Swap the faces of a clip: find them, check them, swap segment by segment, and join."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reliableswap.errors import ClipError, ReliableSwapError
from reliableswap.faces.track import TrackSettings
from reliableswap.media.video.colour import check_depth
from reliableswap.media.video.encoders import Encoding
from reliableswap.media.video.info import ClipInfo, probe
from reliableswap.media.video.join import check_streams
from reliableswap.media.video.outputs import check_clip_output
from reliableswap.media.video.reader import ClipReader
from reliableswap.provenance.credentials import Credentials
from reliableswap.provenance.record import Record
from reliableswap.safety.clip import ClipGates
from reliableswap.safety.consent import Consent
from reliableswap.swap.settings import SwapSettings

from .clip_choice import People as People
from .clip_choice import checked_people, count_refused_tracks, people_report, sources_of
from .clip_folder import WorkFolder
from .clip_job import clip_job, clip_origin, prepare_sources
from .clip_nodes import Nodes, SegmentMaker, SegmentOrder, sendable
from .clip_passes import check_clip, find_people
from .clip_progress import Clock as Clock
from .clip_progress import VideoProgress as VideoProgress
from .clip_progress import VideoResult as VideoResult
from .clip_segments import SecondPassInputs, Segments
from .clip_steady import ClipSteady
from .clip_swap import FrameSwapper
from .inputs import PictureLike, Source
from .options import Engine
from .overlap import Busy
from .trained import engines_of

if TYPE_CHECKING:
    from .calls import SwapCalls


@dataclass(frozen=True)
class VideoSettings:
    """How a clip is processed, whoever is in it.

    start, end: seconds after the clip's first frame; the result holds that part only. quality: of the encoder, 1 to
    100. encoder: "auto" (the clip's own codec, or H.264) or a name of media.video.encoders. segment: seconds that are
    encoded at a time, the most that a killed run loses. on_interrupt: "resume" leaves only the work folder, "keep" also
    a playable file of what is done. fresh: throw away the segments of an earlier run. label: every frame says "Made by
    AI" in a corner. track: how faces are tracked; its rate is replaced by the clip's. steady: smooth the faces' points
    and an engine's decisions over time; without it every frame is swapped on its own, and the clip flickers.
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
    steady: bool = True

    def __post_init__(self) -> None:
        # Each condition states what is valid: comparisons with NaN are false, so NaN is refused.
        if self.start is not None and not 0 <= self.start < math.inf:
            raise ReliableSwapError(f"start is {self.start}; give seconds after the clip's first frame")
        if self.end is not None and not (self.start or 0) < self.end < math.inf:
            raise ReliableSwapError(f"end is {self.end}, but start is {self.start or 0}; give a later end")
        if not 0 < self.segment < math.inf:
            raise ReliableSwapError(f"segment is {self.segment}; give a number of seconds above 0")
        if self.on_interrupt not in ("resume", "keep"):
            raise ReliableSwapError(f"unknown on_interrupt {self.on_interrupt!r}; choose resume or keep")


def swap_clip(
    pipe: SwapCalls,
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
    nodes: Nodes | None = None,
) -> Iterator[VideoProgress | VideoResult]:
    """Do the work of `SwapCalls.video`."""
    began, busy = time.perf_counter(), Busy()
    whom = checked_people(people)
    info, target, folder, encoding = _checked(clip, output, video, overwrite)
    chosen, networks = pipe.choose_engine(engine), pipe.networks()
    gates, clock = ClipGates(pipe.safety, info.name), Clock(busy)
    with busy("prepare"):
        given: Mapping[int, Any] = whom if isinstance(whom, Mapping) else {0: source}
        if any(one is None for one in given.values()) or not given:
            raise ReliableSwapError(
                "no source was given; pass one, or map each person to one, as in people={1: photo}"
            )
        sent = None if nodes is None else sendable(given)
        prepared = prepare_sources(pipe, given, engine, networks)
        gates.check_sources(prepared.values())
        origin = clip_origin(info)
    with folder:
        used = engines_of(list(prepared.values()), chosen)
        job = clip_job(pipe, info, origin, used, settings, video, encoding, whom, prepared)
        stated = Consent.of(consent)
        fresh_record = Record()
        said = None if stated is None else asdict(stated)
        identity = {"id": fresh_record.id, "time": fresh_record.time, "consent": said}
        kept = folder.begin(job, identity, fresh=video.fresh)
        if said is not None and said["statement"] != (kept["consent"] or {}).get("statement"):
            # An earlier run is resumed, and this statement is new.
            kept = folder.update_identity(job, {**kept, "consent": said})

        reader = ClipReader(info)
        times, faces = yield from find_people(folder, reader, networks, video, job, clock)
        sources = sources_of(whom, prepared, faces, info)
        steady = ClipSteady() if video.steady else None
        swapper = FrameSwapper(info.name, sources, chosen, settings, networks, steady)
        checked = yield from check_clip(reader, times, faces, swapper, gates, clock)
        explicit = whom != "all"
        refused_tracks = count_refused_tracks(checked.refused, faces, sources, explicit)
        refused = frozenset(checked.refused)
        swapper = FrameSwapper(
            info.name, sources, chosen, settings, networks, steady, refused, checked.vectors
        )

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
        inputs = SecondPassInputs(
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
        elsewhere = None
        if nodes is not None and sent is not None:
            order = SegmentOrder(
                info.path.absolute(),
                target,
                job,
                sent,
                sent if isinstance(whom, Mapping) else whom,
                engine,
                settings,
                replace(video, on_interrupt="resume"),
                times,
                faces,
                refused,
                checked,
                gates.target_scores,
                encoding,
                record,
            )
            elsewhere = partial(nodes.executor, SegmentMaker(nodes.load, order))
        segments = Segments(inputs, clock, overwrite or folder.may_replace(), elsewhere)
        facts = yield from segments.run()
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
            "people": people_report(faces, sources, facts["swapped"], refused_tracks),
            "frames_swapped": facts["frames_swapped"],
            "failed": facts["failed"],
            "copied": facts["copied"],
            "left_out": facts["left_out"],
            "resumed_segments": facts["resumed"],
            "consent": kept["consent"],
            "seconds": round(time.perf_counter() - began, 2),
            "stages": busy.rounded(),
        }
        folder.remove()
    yield VideoResult(Path(output), report)


def _checked(
    clip: str | os.PathLike[str], output: str | os.PathLike[str], video: VideoSettings, overwrite: bool
) -> tuple[ClipInfo, Path, WorkFolder, Encoding]:
    """Check everything that can be checked before any work; return what the run needs."""
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
