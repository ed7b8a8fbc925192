"""Marks of clips: in their frames, and as XMP in their container."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reliableswap.errors import PictureError

from .metadata import MAX_PACKET_BYTES, Mark, mark_xmp, parse_xmp
from .record import Record
from .watermark import Box
from .watermark.moving import MovingMark

MAX_FRAMES = 64  # of a clip, evenly spread: enough for the watermark, which every frame carries
MAX_PIXELS = 36_000_000  # of a frame: 8192x4320
MAX_DECODED = 2_000_000_000  # pixels that are decoded to get those frames: about a thousand of 1920x1080
MATROSKA = b"\x1aE\xdf\xa3"
_STILLS = (b"avi", b"hei", b"hev", b"mif")  # brands of pictures in the same container
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the UUID of XMP in MP4 and MOV files
_XMP_TAG = "XMP"  # the name of the packet among Matroska's tags


def is_clip(stream: BinaryIO) -> bool:
    """Whether the file is an MP4, MOV or MKV clip, by its first bytes; rewind the stream."""
    stream.seek(0)
    head = stream.read(12)
    stream.seek(0)
    return is_matroska(head) or (head[4:8] == b"ftyp" and head[8:11] not in _STILLS)


def is_matroska(head: bytes) -> bool:
    """Whether a file's first bytes are those of a MKV or WebM clip."""
    return head.startswith(MATROSKA)


def frames(stream: BinaryIO, name: str, max_pixels: int | None = None) -> Iterator[np.ndarray]:
    """Yield up to MAX_FRAMES frames (H,W,3) uint8 RGB, spread over the clip; `name` stands for it in error messages.

    The amount of decoding is bounded: of a longer clip only keyframes are decoded, and frames after them where
    keyframes are rare. max_pixels: per frame, at most and by default MAX_PIXELS.
    """
    av = _pyav()
    limit = min(max_pixels or MAX_PIXELS, MAX_PIXELS)
    try:
        with av.open(stream) as container:
            video = container.streams.video[0]
            _check_size(video.width, video.height, name, limit)
            # A later header may declare another size, for which the decoder allocates memory before we see it. The
            # limit is doubled because it counts padding.
            video.codec_context.options = {"max_pixels": str(2 * limit)}
            for frame in _spread_frames(container, video):
                _check_size(frame.width, frame.height, name, limit)
                yield frame.to_ndarray(format="rgb24")
    except PictureError:
        raise
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise PictureError(f"{name} can't be decoded as a clip ({error})") from error


def _spread_frames(container: Any, video: Any) -> Iterator[Any]:
    """Yield up to MAX_FRAMES decoded frames, spread over the clip."""
    most = max(MAX_FRAMES // 2, MAX_DECODED // max(1, video.width * video.height))
    if video.frames <= most:  # 0: a container that does not say how many there are
        step = max(1, (video.frames or MAX_FRAMES) // MAX_FRAMES)
        yield from islice(container.decode(video), 0, min(step * MAX_FRAMES, most), step)
        return
    keyframes = _keyframes(container, video)
    each = MAX_FRAMES // max(1, len(keyframes))  # frames to take from each keyframe onwards
    step = max(1, most // MAX_FRAMES)
    last = None
    for keyframe in keyframes:
        container.seek(keyframe, stream=video)
        for frame in islice(container.decode(video), 0, (each - 1) * step + 1, step):
            # Where keyframes are close together, the frames after one overlap those after the next.
            if last is None or (frame.pts is not None and frame.pts > last):
                last = frame.pts
                yield frame


def _keyframes(container: Any, video: Any) -> list[int]:
    """Return the timestamps of the keyframes at or before MAX_FRAMES evenly spaced times, found without decoding."""
    begin, length = video.start_time or 0, video.duration or 0
    found: set[int] = set()
    for place in range(MAX_FRAMES):
        container.seek(begin + length * (2 * place + 1) // (2 * MAX_FRAMES), stream=video)
        packet = next(container.demux(video), None)
        if packet is not None and packet.pts is not None:
            found.add(packet.pts)
    return sorted(found)


def _check_size(width: int, height: int, name: str, limit: int) -> None:
    if width * height > limit:
        raise PictureError(
            f"the frames of {name} have {width}x{height} pixels, and only frames of up to {limit / 1e6:.4g} megapixels "
            "are checked"
        )


class ClipMark:
    """The watermark of a clip's frames. earlier: the clip already carries one, to be replaced in each frame."""

    def __init__(self, record: Record, height: int, width: int, *, earlier: bool = False) -> None:
        self._record, self._earlier = record, earlier
        self._moving = MovingMark(record.payload, height, width)

    @property
    def payload(self) -> int | None:
        """The payload that the frames carry; None if they are too small."""
        return self._record.payload if self._moving.fits else None

    def change(self, pixels: np.ndarray, faces: Sequence[Box]) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the next frame's mark: a change (H,W) float32 of all channels, or else the marked pixels (H,W,3)."""
        if not self._earlier:
            return self._moving.change(pixels, faces), None
        from .seal import mark_pixels  # seal imports this module

        return None, mark_pixels(pixels, replace(self._record, faces=faces))[0]

    def restart(self) -> None:
        """Begin a segment, which must not depend on earlier frames."""
        self._moving.restart()


def clip_tags(record: Record, earlier: int | None = None) -> dict[str, str]:
    """Return metadata for the muxer: Matroska has no place for XMP but its tags. earlier: see `mark_clip`."""
    return {_XMP_TAG: _xmp_packet(record, earlier).decode()}


def mark_clip(path: str | os.PathLike[str], record: Record, earlier: int | None = None) -> None:
    """Add XMP to an encoded MP4 or MOV clip, in place. Leave an MKV file alone: it has the XMP in its tags.

    earlier: the payload of a watermark that the frames carried before.
    """
    with Path(path).open("r+b") as stream:
        if is_matroska(stream.read(4)):
            return
        packet = _xmp_packet(record, earlier)
        stream.seek(0, os.SEEK_END)
        stream.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + _XMP_BOX + packet)
        stream.flush()
        os.fsync(stream.fileno())


def read_clip_mark(stream: BinaryIO) -> Mark | None:
    """The XMP mark of a clip, or None."""
    stream.seek(0)
    head = stream.read(4)
    if not is_matroska(head):
        return parse_xmp(_read_xmp_box(stream))
    av = _pyav()
    stream.seek(0)
    try:
        with av.open(stream) as container:
            return parse_xmp(container.metadata.get(_XMP_TAG))
    except (av.error.FFmpegError, ValueError):
        return None


def _read_xmp_box(stream: BinaryIO) -> bytes | None:
    """Return the content of the top-level XMP box of an MP4 file, or None."""
    place = 0
    while True:
        stream.seek(place)
        header = stream.read(32)
        if len(header) < 8:
            return None
        size, begin = int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, begin = int.from_bytes(header[8:16], "big"), 16
        if size < begin:  # 0: the last box, up to the file's end
            return None
        if header[4:8] == b"uuid" and header[begin : begin + 16] == _XMP_BOX:
            stream.seek(place + begin + 16)
            return stream.read(min(size - begin - 16, MAX_PACKET_BYTES + 1))
        place += size


def _xmp_packet(record: Record, earlier: int | None) -> bytes:
    return mark_xmp(record.details(), history=record.history(earlier), source_type=record.source_type)


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise PictureError("reading clips needs the extra video: pip install reliableswap[video]") from error
    return av
