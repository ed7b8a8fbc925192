"""Pairs of shots, which every protocol yields; a shot is a photo or one frame of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reliableswap.media import read_picture

from .video import read_frame


@dataclass(frozen=True)
class Shot:
    """A photo, or frame number `frame` of a video, that shows `person`."""

    path: Path
    person: str
    frame: int | None = None

    def read(self) -> np.ndarray:
        """(H,W,3) uint8 RGB"""
        return read_picture(self.path).pixels if self.frame is None else read_frame(self.path, self.frame)


@dataclass(frozen=True)
class Pair:
    """A task for every method: put the source's identity into the target.

    name: the result's file name without extension; reference: another photo of the source's person; truth: the correct
    result, where it is known; clip: the video that the target is a frame of.
    """

    name: str
    source: Shot
    target: Shot
    reference: Shot | None = None
    truth: Path | None = None
    clip: str | None = None


def pair_name(source: Shot, target: Shot, root: Path) -> str:
    """TARGET__SOURCE, the order of FaceForensics++, whose results are named after the changed video first."""

    def plain(path: Path) -> str:
        inner = path.relative_to(root) if path.is_relative_to(root) else path
        return "-".join(part for part in inner.with_suffix("").parts if part not in ("/", ".."))

    return f"{plain(target.path)}__{plain(source.path)}"
