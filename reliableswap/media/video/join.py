"""Join segments into a clip, and copy the packets of the original's other streams byte for byte."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from reliableswap.errors import ClipError
from reliableswap.media.atomic import atomic_path

from .encoders import Encoder
from .info import ClipInfo, codec_name
from .library import clip_errors, open_clip, pyav
from .orientation import UPRIGHT
from .outputs import WRITABLE
from .segment import packets_of
from .times import FrameTimes

logger = logging.getLogger(__name__)

_FILE_TAGS = {  # true of the original's file, but not of the result's
    "major_brand", "minor_version", "compatible_brands", "encoder", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES",
    "BPS", "_STATISTICS_WRITING_APP", "_STATISTICS_WRITING_DATE_UTC", "_STATISTICS_TAGS", "vendor_id",
}  # fmt: skip
_MAX_TICKS = 2**31 - 1  # per second, in MP4


@dataclass(frozen=True)
class Segment:
    """A finished segment and the number of its frames."""

    path: Path
    frames: int


@dataclass(frozen=True)
class Joined:
    """What was written beside the picture. left_out: non-essential streams that the container can't hold, such as
    timecode, which it makes anew.
    """

    copied: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())


def check_streams(info: ClipInfo, output: Path) -> None:
    """Raise if the output's container can't hold the clip's sound or subtitles."""
    av = pyav()
    kind = WRITABLE[output.suffix.lower()]
    form = av.format.ContainerFormat(kind, "w")
    with open_clip(info.path) as container:
        for stream in _to_copy(container, info):
            if stream.type in ("audio", "subtitle") and not _holds(form, stream):
                known = f"{stream.type} ({codec_name(stream)})"
                raise ClipError(f"{output.name} can't hold the {known} of {info.name}; name the output .mkv")


def join(
    segments: Sequence[Segment],
    target: Path,
    info: ClipInfo,
    times: FrameTimes,
    encoder: Encoder,
    *,
    cut: bool = False,
    from_zero: bool = False,
    tags: dict[str, str] | None = None,
) -> Joined:
    """Write segments as one clip with the original's timestamps, sound, subtitles, chapters and attachments.

    target: its extension decides the container. cut: leave out what lies outside `times`. from_zero: shift all
    timestamps so that the first frame is at time 0. tags: further metadata of the file. The file is written atomically.
    """
    if sum(segment.frames for segment in segments) != len(times):
        raise ClipError(
            f"{target.name}: the segments do not add up to the clip's {len(times)} frames; delete the folder of "
            "segments and run again"
        )
    shift = int(times.pts[0]) * times.time_base if from_zero else Fraction(0)
    av = pyav()
    with (
        clip_errors(target.name, "written"),
        atomic_path(target, overwrite=True) as draft,
        open_clip(info.path) as source,
    ):
        ticks = _ticks(times.time_base, source)
        options = {}
        if target.suffix.lower() != ".mkv":
            options = {
                "movflags": "+faststart",
                "video_track_timescale": str(_picture_ticks(times.time_base)),
                "movie_timescale": str(ticks),
            }
        with (
            av.open(str(draft), "w", format=WRITABLE[target.suffix.lower()], options=options) as out,
            open_clip(segments[0].path) as first,
        ):
            picture = out.add_stream_from_template(first.streams.video[0], opaque=True)
            _like_original(picture, source.streams[info.stream], info, encoder, target)
            copies, left_out = _add_streams(out, source, info)
            _copy_metadata(out, source, tags or {}, times, shift, cut)
            extradata = bytes(first.streams.video[0].codec_context.extradata or b"")
            pictures = _picture_packets(segments, times, shift, picture, extradata)
            _mux_interleaved(out, pictures, _other_packets(source, copies, times, shift, cut))
            names = tuple(f"{one.type} ({codec_name(one)})" for one in copies)
    return Joined(names, tuple(left_out))


def _like_original(stream: Any, original: Any, info: ClipInfo, encoder: Encoder, target: Path) -> None:
    stream.time_base = info.time_base
    stream.metadata.update(_kept(original.metadata))
    if info.orientation.matrix != UPRIGHT:
        stream.set_display_matrix(info.orientation.matrix)
    if target.suffix.lower() in (".mp4", ".mov") and encoder.tag and encoder.codec != "h264":
        stream.codec_context.codec_tag = encoder.tag


def _to_copy(source: Any, info: ClipInfo) -> Iterator[Any]:
    """Yield the streams to copy. An MP4 file's chapters are a stream too, which is skipped: they are written anew."""
    for stream in source.streams:
        if stream.index == info.stream or (
            stream.type == "data" and source.chapters() and _is_chapters(stream)
        ):
            continue
        yield stream


def _is_chapters(stream: Any) -> bool:
    return stream.codec_context is None and "subtitle" in stream.metadata.get("handler_name", "").lower()


def _holds(form: Any, stream: Any) -> bool:
    """Whether a container takes a stream's codec."""
    try:
        with pyav().open(io.BytesIO(), "w", format=form.name) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()  # writes the header
    except (ValueError, pyav().error.FFmpegError):
        return False
    return True


def _add_streams(out: Any, source: Any, info: ClipInfo) -> tuple[dict[Any, Any], list[str]]:
    """Add the streams to copy; return the output's streams by the original's, and the names of those left out."""
    copies, left_out = {}, []
    for stream in _to_copy(source, info):
        if not _holds(out.format, stream):
            name = f"{stream.type} ({codec_name(stream)})"
            logger.warning("the stream %s of %s is left out: the container can't hold it", name, info.name)
            left_out.append(name)
            continue
        copy = out.add_stream_from_template(stream, opaque=True)
        copy.time_base = stream.time_base
        copy.disposition = stream.disposition
        copy.metadata.update(_kept(stream.metadata))
        copies[stream] = copy
    return copies, left_out


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.split("-")[0] not in _FILE_TAGS}


def _copy_metadata(
    out: Any, source: Any, tags: dict[str, str], times: FrameTimes, shift: Fraction, cut: bool
) -> None:
    out.metadata.update({**_kept(source.metadata), **tags})
    chapters = source.chapters()
    if cut:
        begin, end = int(times.pts[0]) * times.time_base, times.end * times.time_base
        kept = []
        for one in chapters:
            base = Fraction(one["time_base"])
            start, stop = max(one["start"] * base, begin) - shift, min(one["end"] * base, end) - shift
            if stop > start:
                kept.append({**one, "start": round(start / base), "end": round(stop / base)})
        chapters = kept
    if chapters:
        out.set_chapters(chapters)


def _picture_packets(
    segments: Sequence[Segment], times: FrameTimes, shift: Fraction, stream: Any, extradata: bytes
) -> Iterator[Any]:
    """Yield the picture's packets with the original's timestamps."""
    durations, number = times.durations(), 0
    moved = round(shift / times.time_base)
    for segment in segments:
        with open_clip(segment.path) as opened:
            found = bytes(opened.streams.video[0].codec_context.extradata or b"")
        if found != extradata:
            raise ClipError(
                f"the segment {segment.path.name} was encoded differently from the first (by another version of "
                "the encoder?); delete the folder of segments and run again"
            )
        for packet in packets_of(segment.path, segment.frames):
            packet.stream, packet.time_base = stream, times.time_base
            packet.pts = packet.dts = int(times.pts[number]) - moved
            packet.duration = int(durations[number])
            number += 1
            yield packet


def _other_packets(
    source: Any, copies: dict[Any, Any], times: FrameTimes, shift: Fraction, cut: bool
) -> Iterator[Any]:
    """Yield the packets of all other streams; of a cut clip, only those that begin inside the part."""
    begin, end = int(times.pts[0]) * times.time_base, times.end * times.time_base
    moving = [stream for stream in copies if stream.type != "attachment"]
    if not moving:
        return
    for packet in source.demux(moving):
        if not packet.size:  # PyAV ends every stream with an empty packet
            continue
        base = Fraction(packet.time_base)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if cut and stamp is not None and not begin <= stamp * base < end:
            continue
        moved = round(shift / base)
        if packet.pts is not None:
            packet.pts -= moved
        packet.dts = packet.pts if packet.dts is None else packet.dts - moved
        packet.stream = copies[packet.stream]
        yield packet


def _mux_interleaved(out: Any, pictures: Iterator[Any], others: Iterator[Any]) -> None:
    """Interleave both in time order, so that the muxer buffers little."""
    waiting = next(pictures, None)
    for packet in others:
        stamp = packet.dts * Fraction(packet.time_base) if packet.dts is not None else None
        while (
            waiting is not None and stamp is not None and waiting.dts * Fraction(waiting.time_base) <= stamp
        ):
            out.mux(waiting)
            waiting = next(pictures, None)
        out.mux(packet)
    while waiting is not None:
        out.mux(waiting)
        waiting = next(pictures, None)


def _picture_ticks(time_base: Fraction) -> int:
    """Ticks per second in which the picture's timestamps are whole numbers."""
    return time_base.denominator


def _ticks(time_base: Fraction, source: Any) -> int:
    """Ticks per second in which the start times of all streams are whole numbers, within MP4's limit."""
    ticks = _picture_ticks(time_base)
    for stream in source.streams:
        if stream.time_base:
            both = math.lcm(ticks, Fraction(stream.time_base).denominator)
            ticks = both if both <= _MAX_TICKS else ticks
    return ticks
