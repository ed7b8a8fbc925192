"""Frames of a clip, for its watermark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from reliableswap.errors import PictureError

MAX_FRAMES = 64  # of a clip, evenly spread: enough for the watermark, which every frame carries
_STILLS = (b"avi", b"hei", b"hev", b"mif")  # brands of pictures in the same container


def is_clip(stream: BinaryIO) -> bool:
    """Whether the file is an MP4 or MOV clip, by its first bytes; the stream is at its beginning after it."""
    stream.seek(0)
    head = stream.read(12)
    stream.seek(0)
    return head[4:8] == b"ftyp" and head[8:11] not in _STILLS


def frames(stream: BinaryIO, name: str) -> Iterator[np.ndarray]:
    """Yield up to MAX_FRAMES frames (H,W,3) uint8 RGB; `name` stands for the clip in error messages."""
    try:
        import av
    except ImportError as error:
        raise PictureError("reading clips needs the extra video: pip install reliableswap[video]") from error
    try:
        with av.open(stream) as container:
            video = container.streams.video[0]
            step = max(1, (video.frames or MAX_FRAMES) // MAX_FRAMES)
            for number, frame in enumerate(container.decode(video)):
                if number % step == 0:
                    yield frame.to_ndarray(format="rgb24")
                if number >= step * MAX_FRAMES - 1:
                    break
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise PictureError(f"{name} can't be decoded as a clip ({error})") from error
