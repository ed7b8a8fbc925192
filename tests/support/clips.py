"""Make clips for tests, and read what they contain: timestamps, frames, and the packets of every stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from reliableswap.faces.face import Face
from reliableswap.faces.track import ClipFaces, ClipPerson, FaceNumbers, TrackedFace
from reliableswap.media.video.encoders import Encoding
from reliableswap.media.video.info import probe
from reliableswap.media.video.join import Joined, Segment, join
from reliableswap.media.video.reader import ClipReader
from reliableswap.media.video.segment import SegmentWriter
from reliableswap.media.video.times import FrameTimes, times_of

RATE = 25


def moving(count: int, height: int = 96, width: int = 128, seed: int = 0) -> list[np.ndarray]:
    """Frames (H,W,3) uint8 of soft colours that drift; every frame is different."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (6, 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return [np.roll(picture, 2 * step, axis=1) for step in range(count)]


@dataclass(frozen=True)
class Made:
    """A clip to encode. pts: timestamps in units of time_base; default: RATE frames a second from 0."""

    frames: Sequence[np.ndarray]
    pts: Sequence[int] | None = None
    time_base: Fraction = Fraction(1, 12800)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "8", "preset": "ultrafast"})
    sound: bool = False
    rotation: int | None = None
    colour: dict[str, int] = field(default_factory=dict)
    aspect: Fraction | None = None
    chapters: Sequence[dict[str, Any]] = ()
    attachment: bytes = b""
    gop: int = 8
    metadata: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Encode the clip to a file and return its path."""
        height, width = self.frames[0].shape[:2]
        step = round(1 / (RATE * self.time_base))
        pts = self.pts or [step * number for number in range(len(self.frames))]
        options = {}
        if path.suffix != ".mkv":
            options = {"video_track_timescale": str(self.time_base.denominator), "movie_timescale": "1411200"}
        with av.open(str(path), "w", options=options) as out:
            out.metadata.update(self.metadata)
            video = out.add_stream(self.codec, rate=RATE, options=self.options)
            video.width, video.height, video.pix_fmt = width, height, self.pix_fmt
            context = video.codec_context
            context.time_base, context.gop_size = self.time_base, self.gop
            for name, value in self.colour.items():
                setattr(context, name, value)
            if self.aspect:
                context.sample_aspect_ratio = self.aspect
            if self.rotation is not None:
                video.set_display_rotation(self.rotation)
            audio = None
            if self.sound:
                audio = out.add_stream("aac", rate=44100)
            if self.attachment:
                out.add_attachment("notes.bin", "application/octet-stream", self.attachment)
            if self.chapters:
                out.set_chapters(list(self.chapters))
            seconds = float((pts[-1] + step) * self.time_base)
            first = float(pts[0] * self.time_base)
            packets = []
            for image, stamp in zip(self.frames, pts, strict=True):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=self.pix_fmt)
                frame.pts, frame.time_base = stamp, self.time_base
                packets += video.encode(frame)
            packets += video.encode(None)
            if audio is not None:
                packets += _tone(audio, first, seconds)
            for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
                out.mux(packet)
        return path


def _tone(stream: Any, first: float, end: float) -> list[Any]:
    packets = []
    begin = round(first * 44100)
    for place in range(begin, round(end * 44100), 1024):
        wave = np.sin(np.arange(place, place + 1024) * 0.06 + place % 777).astype(np.float32) * 0.4
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44100, place, Fraction(1, 44100)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def stamps(path: Path) -> list[Fraction]:
    """The timestamps of the decoded frames, in seconds."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return [frame.pts * Fraction(video.time_base) for frame in container.decode(video)]


def pictures(path: Path) -> list[np.ndarray]:
    """(H,W,3) uint8 frames as stored, without the display rotation."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]


def packets(path: Path, kind: str) -> list[list[tuple[Fraction, bytes]]]:
    """For each stream of a kind, the timestamp and content of its packets."""
    found = []
    with av.open(str(path)) as container:
        count = len([stream for stream in container.streams if stream.type == kind])
    for number in range(count):
        with av.open(str(path)) as container:
            stream = [one for one in container.streams if one.type == kind][number]
            found.append(
                [
                    (one.pts * Fraction(one.time_base), bytes(one))
                    for one in container.demux(stream)
                    if one.size
                ]
            )
    return found


def read_times(reader: ClipReader) -> FrameTimes:
    """The times of all frames of a clip."""
    frames = [(frame.pts, frame.duration) for frame in reader.frames()]
    return times_of([pts for pts, _ in frames], frames[-1][1], reader.info.time_base)


def rewritten(
    path: Path, target: Path, encoder: str = "auto", per_segment: int = 10, **options: Any
) -> Joined:
    """Pass a clip through reader, segment writers and joiner without changing a pixel."""
    info = probe(path)
    reader = ClipReader(info)
    times = read_times(reader)
    encoding = Encoding.choose(encoder, 90, info, reader.colours)
    segments = []
    for first in range(0, len(times), per_segment):
        part = times.part(first, min(len(times), first + per_segment))
        segments.append(Segment(target.with_name(f"{target.stem}-{first}.mkv"), len(part)))
        with SegmentWriter(segments[-1].path, encoding, info, reader.colours, per_segment) as writer:
            for frame in reader.frames_of(part):
                writer.write(reader.with_changes(frame, frame.rgb, [], None))
    return join(segments, target, info, times, encoding.encoder, **options)


class StandingFaces(ClipFaces):
    """Tracked faces that do not move: the given mesh (468,3) of each person in every frame."""

    def __init__(self, frames: int, size: tuple[int, int], meshes: Sequence[np.ndarray]) -> None:
        people = tuple(
            ClipPerson(
                number,
                frames,
                0,
                Face.from_mesh(mesh).box,
                np.ones(4, np.float32),
                np.full((112, 112, 3), 40 * number, np.uint8),
            )
            for number, mesh in enumerate(meshes, 1)
        )
        self.frames, self.size, self.people, self.fingerprint = frames, size, people, ""
        self.meshes = meshes

    def at(self, frame: int) -> list[TrackedFace]:
        return [
            TrackedFace(frame, number, number, Face.from_mesh(mesh))
            for number, mesh in enumerate(self.meshes, 1)
        ]

    def numbers(self, frame: int) -> list[FaceNumbers]:
        return [FaceNumbers(one.track, one.person) for one in self.at(frame)]
