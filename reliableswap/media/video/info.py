"""Facts about a clip: displayed size, times, colours and streams, and whether it can be swapped."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from reliableswap.errors import ClipError
from reliableswap.media.picture import printable

from .library import clip_errors, open_clip
from .orientation import Orientation

_RATE_PACKETS = 100  # packets from which a frame rate is measured if the container states none
_HDR = {16: "PQ (HDR10, Dolby Vision)", 18: "HLG"}  # transfer characteristics by their number in H.273


@dataclass(frozen=True)
class ColourTags:
    """The numbers of H.273 that a clip declares; 2 or 0 stands for "not stated"."""

    range: int
    primaries: int
    transfer: int
    matrix: int


@dataclass(frozen=True)
class StreamInfo:
    """One stream beside the picture. kind: audio, subtitle, data, attachment or video."""

    index: int
    kind: str
    codec: str


@dataclass(frozen=True)
class ClipInfo:
    """A clip's picture stream; sizes and times as stored, unless said otherwise.

    width, height: as displayed, in pixels. rate: average frame rate. first_pts: the first frame's timestamp in
    `time_base`. length: seconds that the container declares for the picture, None if it does not.
    depth: bits per sample. others: the streams beside the picture.
    """

    path: Path
    name: str
    container: str
    stream: int
    codec: str
    width: int
    height: int
    orientation: Orientation
    rate: Fraction
    time_base: Fraction
    first_pts: int | None
    length: Fraction | None
    pixel_format: str
    depth: int
    colour: ColourTags
    pixel_aspect: Fraction
    interlaced: bool
    alpha: bool
    others: tuple[StreamInfo, ...]

    @property
    def stored_size(self) -> tuple[int, int]:
        """Height and width as stored."""
        return self.orientation.size(self.height, self.width)

    def stamp(self, frame: Any) -> int | None:
        """Return a decoded frame's presentation timestamp, or its decoding timestamp in AVI, which has no other."""
        return _stamp(frame, self.container)

    def check(self) -> None:
        """Raise ClipError for clips that a swap would spoil."""
        if self.colour.transfer in _HDR:
            raise ClipError(
                f"{self.name} is an HDR clip ({_HDR[self.colour.transfer]}), whose dynamic range can't be preserved "
                "yet; convert it to SDR first, for example with ffmpeg's filters zscale and tonemap"
            )
        if self.interlaced:
            raise ClipError(
                f"{self.name} is interlaced; deinterlace it first, for example with ffmpeg -vf bwdif"
            )
        if self.alpha:
            raise ClipError(
                f"{self.name} has an alpha channel ({self.pixel_format}), which would be lost; flatten it first"
            )


def probe(path: str | os.PathLike[str]) -> ClipInfo:
    """Read a clip's header and its first frame."""
    name = printable(Path(path).name)
    with open_clip(path) as container, clip_errors(name, "read"):
        stream = picture_stream(container)
        try:
            frame = next(container.decode(stream), None)
        except ValueError as error:
            raise ClipError(
                f"{name} is damaged: its first frame can't be decoded; get an intact copy"
            ) from error
        if frame is None:
            raise ClipError(f"{name} holds no frames; get an intact copy")
        return _info(Path(path), name, container, stream, frame)


def _stamp(frame: Any, container: str) -> int | None:
    stamp: int | None = frame.dts if container == "avi" else frame.pts
    return stamp


def picture_stream(container: Any) -> Any:
    """Return the first video stream that is not cover art."""
    streams = container.streams.video
    return next((one for one in streams if "attached_pic" not in _disposition(one)), streams[0])


def _info(path: Path, name: str, container: Any, stream: Any, frame: Any) -> ClipInfo:
    orientation = Orientation.of(_matrix(frame))
    if orientation is None:
        raise ClipError(f"{name} is rotated by an angle that is not a multiple of 90°; make it upright first")
    height, width = orientation.size(frame.height, frame.width)
    context, form = stream.codec_context, frame.format
    first_pts = _stamp(frame, container.format.name)
    others = [
        StreamInfo(one.index, one.type, codec_name(one))
        for one in container.streams
        if one.index != stream.index
    ]
    return ClipInfo(
        path=path,
        name=name,
        container=container.format.name,
        stream=stream.index,
        codec=context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name,
        width=width,
        height=height,
        orientation=orientation,
        rate=_rate(path, stream),
        time_base=Fraction(stream.time_base),
        first_pts=first_pts,
        length=_length(container, stream, (first_pts or 0) * Fraction(stream.time_base)),
        pixel_format=form.name,
        depth=max(component.bits for component in form.components),
        colour=ColourTags(
            int(frame.color_range), int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)
        ),
        pixel_aspect=Fraction(stream.sample_aspect_ratio or 1) or Fraction(1),
        interlaced=bool(frame.interlaced_frame),
        alpha=(any(component.is_alpha for component in form.components) and form.name not in ("pal8",))
        or stream.metadata.get("alpha_mode") == "1",  # VP8's and VP9's, which FFmpeg's own decoders drop
        others=tuple(others),
    )


def _rate(path: Path, stream: Any) -> Fraction:
    """Return the average frame rate: as the container states it, or measured on its first packets.

    Browser recordings state none, and FFmpeg would guess the time base's.
    """
    if stream.average_rate:
        return Fraction(stream.average_rate)
    base = Fraction(stream.time_base)
    with open_clip(path) as container:
        packets = container.demux(container.streams[stream.index])
        stamps = sorted({one.pts for one in islice(packets, _RATE_PACKETS) if one.pts is not None})
    if len(stamps) > 1:
        return (Fraction(len(stamps) - 1) / ((stamps[-1] - stamps[0]) * base)).limit_denominator(1001)
    return Fraction(stream.guessed_rate or stream.base_rate or 25)


def codec_name(stream: Any) -> str:
    """The name of a stream's codec, or its kind where PyAV has no decoder."""
    context = stream.codec_context
    return stream.type if context is None else str(context.name)


def _disposition(stream: Any) -> str:
    return str(getattr(stream, "disposition", ""))


def _matrix(frame: Any) -> tuple[int, ...] | None:
    """Return the display matrix that the frame carries, if any."""
    for data in frame.side_data:
        kind = getattr(data, "type", data)
        if getattr(kind, "name", "") == "DISPLAYMATRIX":
            return struct.unpack("=9i", bytes(data)[:36])
    return None


def _length(container: Any, stream: Any, first: Fraction) -> Fraction | None:
    """Return the picture's length in seconds, as the container states it. first: the first frame's time."""
    if stream.duration:
        return stream.duration * Fraction(stream.time_base)
    said = stream.metadata.get(
        "DURATION", ""
    )  # Matroska: the time at which the stream ends, as 00:00:03.033000000
    parts = said.split(":")
    if len(parts) == 3:
        try:
            hours, minutes, seconds = (Fraction(part) for part in parts)
        except ValueError:
            return None
        return hours * 3600 + minutes * 60 + seconds - first
    single_stream = len(container.streams) == 1
    return Fraction(container.duration, 1_000_000) - first if container.duration and single_stream else None
