"""Read single frames of a video by number, with PyAV."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.errors import PictureError, ReliableSwapError


def frame_count(path: Path) -> int:
    """Return the number of frames; decode the video if its header does not say."""
    with _open(path) as container:
        stream = container.streams.video[0]
        try:
            return int(stream.frames) or sum(1 for _ in container.decode(stream))
        except _video_error() as error:
            message = f"{path} is damaged ({type(error).__name__}); replace it with an intact copy"
            raise PictureError(message) from error


@lru_cache(maxsize=16)
def frame_times(path: Path) -> tuple[float, ...]:
    """The timestamps of all frames in seconds, in display order, as the container states them."""
    with _open(path) as container:
        stream = container.streams.video[0]
        try:
            stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        except _video_error() as error:
            message = f"{path} is damaged ({type(error).__name__}); replace it with an intact copy"
            raise PictureError(message) from error
        return tuple(float(stamp * stream.time_base) for stamp in sorted(stamps))


def spread_frames(count: int, wanted: int) -> list[int]:
    """Return `wanted` evenly spaced frame numbers, each with a neighbour on both sides."""
    if count < wanted + 2:
        raise ReliableSwapError(f"a video of {count} frames is too short; give one of at least {wanted + 2}")
    return [round(x) for x in np.linspace(1, count - 2, wanted)]


@lru_cache(maxsize=96)
def read_frame(path: Path, index: int) -> np.ndarray:
    """(H,W,3) uint8 RGB, the frame of that number in display order"""
    return _reader(path).read(index)


@lru_cache(maxsize=6)
def _reader(path: Path) -> FrameReader:
    return FrameReader(path)


class FrameReader:
    """Frames of one video by number. Reading forwards continues decoding; reading backwards restarts it."""

    _KEPT = 4  # decoded frames that are kept, so that a frame's neighbours need no second pass

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rewind()

    def _rewind(self) -> None:
        self.container = _open(self.path)
        stream = self.container.streams.video[0]
        stream.thread_type = "AUTO"
        self.frames, self.position = self.container.decode(stream), -1
        self.recent: dict[int, Any] = {}

    def read(self, index: int) -> np.ndarray:
        """(H,W,3) uint8 RGB"""
        if index <= self.position and index not in self.recent:
            self.container.close()
            self._rewind()
        while index not in self.recent:
            self._decode_next(index)
        # PyAV returns a strided view of frames with padded rows, which dlib does not accept.
        return np.ascontiguousarray(self.recent[index].to_ndarray(format="rgb24"))

    def _decode_next(self, wanted: int) -> None:
        try:
            frame = next(self.frames, None)
        except _video_error() as error:
            message = f"{self.path} is damaged after frame {self.position} ({type(error).__name__})"
            raise PictureError(f"{message}; replace it with an intact copy") from error
        if frame is None:
            raise PictureError(f"{self.path} has no frame {wanted}; its frames are 0 to {self.position}")
        self.position += 1
        self.recent[self.position] = frame
        self.recent.pop(self.position - self._KEPT, None)


def _video_error() -> type[Exception]:
    """The base class of PyAV's errors; PyAV is optional, so it is imported late."""
    found: type[Exception] = importlib.import_module("av").error.FFmpegError
    return found


def _open(path: Path) -> Any:
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        raise ReliableSwapError(
            "reading videos needs PyAV; run: pip install 'reliableswap[video]'"
        ) from error
    if not path.is_file():
        raise PictureError(f"there is no video {path}; check the name and the folder")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        message = f"{path} can't be read as a video ({type(error).__name__}); try another file"
        raise PictureError(message) from error
    if not container.streams.video:
        raise PictureError(f"{path} has no video stream; give a video file")
    return container
