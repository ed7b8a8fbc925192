"""Whoever makes results: pipelines of ours, folders of anyone's pictures, and two controls with known answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.evaluation.protocols.shots import PICTURES, Pair, Shot, read_frame
from reliableswap.media import Picture, read_picture, write_picture
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.pipelines.image import Engine, ReliableSwapPipeline


@dataclass(frozen=True, eq=False)
class Made:
    """A result (H,W,3) uint8; milliseconds are None where nobody took the time."""

    pixels: np.ndarray
    milliseconds: float | None = None


class Method(Protocol):
    """Makes the result of a pair; target is that of the pair, or a neighbouring frame of it.

    A ReliableSwapError means that this pair failed. control: its answers are known beforehand.
    """

    name: str
    control: bool

    def make(self, pair: Pair, target: Shot) -> Made: ...


class PipelineMethod:
    """A pipeline of ours with one of its engines; `keep` stores what it makes, marked as made by AI.

    `options` are those of the pipeline's call that differ from its defaults.
    """

    control = False

    def __init__(
        self,
        pipe: ReliableSwapPipeline,
        engine: Engine,
        name: str,
        keep: Path | None = None,
        **options: float,
    ) -> None:
        self.options: dict[str, Any] = options
        self.pipe, self.engine, self.name = pipe, pipe.choose_engine(engine), name
        self.keep = keep / name.replace("/", "-") if keep else None

    @property
    def networks(self) -> tuple[IdentityEncoder | None, FixerNet | None]:
        return self.pipe.identity, self.pipe.fixer

    def make(self, pair: Pair, target: Shot) -> Made:
        source, photo = pair.source.read(), target.read()  # decoding is no part of a swap
        started = time.perf_counter()
        result = self.pipe(source, photo, engine=self.engine, **self.options).pictures[0]
        spent = (time.perf_counter() - started) * 1000
        if self.keep is not None:
            path = self.keep / f"{frame_name(pair, target)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(Picture(result.pixels), path, overwrite=True)
        return Made(result.pixels, spent)


class FolderMethod:
    """Results that another tool made: FOLDER/NAME.png, for videos FOLDER/CLIP.mp4 or FOLDER/CLIP/00012.png."""

    control = False

    def __init__(self, name: str, folder: Path) -> None:
        if not folder.is_dir():
            raise ReliableSwapError(f"there is no folder {folder} of {name}'s results; check --outputs")
        self.name, self.folder = name, folder

    def make(self, pair: Pair, target: Shot) -> Made:
        wanted = frame_name(pair, target)
        for suffix in sorted(PICTURES):
            path = self.folder / f"{wanted}{suffix}"
            if path.is_file():
                return Made(read_picture(path).pixels)
        if pair.clip is not None and target.frame is not None:
            video = self.folder / f"{pair.clip}.mp4"
            if video.is_file():
                return Made(read_frame(video, target.frame))
        raise ReliableSwapError(f"no result {wanted} in {self.folder}")

    def check(self, pairs: list[Pair]) -> None:
        """Raise unless at least one result is there: a wrong folder should not look like a bad method."""
        for pair in pairs:
            try:
                self.make(pair, pair.target)
            except ReliableSwapError:
                continue
            return
        raise ReliableSwapError(
            f"{self.folder} holds none of the {len(pairs)} results, such as {pairs[0].name}.png; see --list-pairs "
            "for the names"
        )


class UnchangedTarget:
    """Control: the target as it is. Its copy rate is 1, its attributes are perfect."""

    name, control = "unchanged target", True

    def make(self, pair: Pair, target: Shot) -> Made:
        return Made(target.read())


class SourcePhoto:
    """Control: the source's photo in place of the result. Its retrieval is 1, its attributes are the source's."""

    name, control = "source photo", True

    def make(self, pair: Pair, target: Shot) -> Made:
        return Made(pair.source.read())


def frame_name(pair: Pair, target: Shot) -> str:
    """What the result's file is called, without its ending."""
    return pair.name if pair.clip is None or target.frame is None else f"{pair.clip}/{target.frame:05d}"
