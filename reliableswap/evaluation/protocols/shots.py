"""What a protocol asks for: pairs of shots, a shot being a photo or one frame of a video."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.errors import PictureError, ReliableSwapError
from reliableswap.media import read_picture

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Shot:
    """A photo, or frame number `frame` of a video, of `person`."""

    path: Path
    person: str
    frame: int | None = None

    def read(self) -> np.ndarray:
        """(H,W,3) uint8 RGB."""
        return read_picture(self.path).pixels if self.frame is None else read_frame(self.path, self.frame)


@dataclass(frozen=True)
class Pair:
    """The source's identity is to go into the target.

    name: what the result's file is called; reference: another photo of the source's person; truth: the right
    answer, where it is known; clip: the video that the pair is a frame of.
    """

    name: str
    source: Shot
    target: Shot
    reference: Shot | None = None
    truth: Path | None = None
    clip: str | None = None


def find_pictures(folder: Path) -> list[Path]:
    """The pictures below a folder, by name."""
    if not folder.is_dir():
        raise ReliableSwapError(f"there is no folder {folder}; give the folder of the protocol's photos")
    found = sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in PICTURES and not p.name.startswith(".")
    )
    if not found:
        raise ReliableSwapError(f"no pictures below {folder}; it should hold {', '.join(sorted(PICTURES))}")
    return found


def frame_count(path: Path) -> int:
    """How many frames a video has; those of a file that does not say are counted."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        try:
            return int(stream.frames) or sum(1 for _ in container.decode(stream))
        except _video_errors() as error:
            message = f"{path} is damaged ({type(error).__name__})"
            raise PictureError(f"{message}; get the video again") from error


def spread_frames(count: int, wanted: int) -> list[int]:
    """`wanted` evenly spaced frame numbers, each with a neighbour on both sides."""
    if count < wanted + 2:
        raise ReliableSwapError(f"a video of {count} frames is too short; {wanted + 2} are needed")
    return [round(x) for x in np.linspace(1, count - 2, wanted)]


@lru_cache(maxsize=96)
def read_frame(path: Path, index: int) -> np.ndarray:
    """(H,W,3) uint8 RGB: one frame, counted as shown."""
    return _reader(path).read(index)


@lru_cache(maxsize=6)
def _reader(path: Path) -> FrameReader:
    return FrameReader(path)


class FrameReader:
    """Frames of one video by number. Going forwards it decodes on; going back further it begins again."""

    _REMEMBERED = 4  # decoded frames kept, so that a frame's neighbours cost no second pass

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rewind()

    def _rewind(self) -> None:
        self.container = _opened(self.path)
        stream = self.container.streams.video[0]
        stream.thread_type = "AUTO"
        self.frames, self.at = self.container.decode(stream), -1
        self.recent: dict[int, Any] = {}

    def read(self, index: int) -> np.ndarray:
        if index <= self.at and index not in self.recent:
            self.container.close()
            self._rewind()
        while index not in self.recent:
            try:
                frame = next(self.frames, None)
            except _video_errors() as error:
                message = f"{self.path} is damaged after frame {self.at} ({type(error).__name__})"
                raise PictureError(f"{message}; get the video again") from error
            if frame is None:
                raise PictureError(f"{self.path} has no frame {index}; it ends after {self.at + 1}")
            self.at += 1
            self.recent[self.at] = frame
            self.recent.pop(self.at - self._REMEMBERED, None)
        return np.asarray(self.recent[index].to_ndarray(format="rgb24"))


def _video_errors() -> type[Exception]:
    """The class of all of PyAV's errors."""
    found: type[Exception] = importlib.import_module("av").error.FFmpegError
    return found


def _opened(path: Path) -> Any:
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        raise ReliableSwapError(
            "reading videos needs PyAV; run in the repository: pip install -e '.[video]'"
        ) from error
    if not path.is_file():
        raise PictureError(f"there is no video {path}; check the name and the folder")
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise PictureError(
            f"{path} can't be read as a video ({type(error).__name__}); try another file"
        ) from error
    if not container.streams.video:
        raise PictureError(f"{path} holds no video stream; give a video file")
    return container
