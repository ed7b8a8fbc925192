"""The compared methods: pipelines, folders of another tool's results, and two controls with known answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from reliableswap.data.photos import PICTURES
from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.geometry.regions import face_width, feathered, oval, window
from reliableswap.media import Picture, read_picture
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from reliableswap.pipelines.image import Engine, ReliableSwapPipeline

from .protocols.shots import Pair, Shot
from .protocols.video import frame_times, read_frame

VIDEOS = (".mp4", ".mkv", ".mov", ".webm")
_TIME_TOLERANCE = 0.0011  # seconds: some containers round timestamps to milliseconds

_FEATHER = 0.012  # of the face's width, as the pipelines' default


@dataclass(frozen=True, eq=False)
class Result:
    """A result (H,W,3) uint8 RGB; milliseconds is None if the time was not measured.

    on_time: whether the clip has as many frames as the target and shows this one at the same time; None if no clip.
    """

    pixels: np.ndarray
    milliseconds: float | None = None
    on_time: bool | None = None


class Method(Protocol):
    """A source of results for pairs. `target` is the pair's target, or a neighbouring frame of it.

    A ReliableSwapError means that this pair failed. control: whether its figures are known in advance.
    """

    name: str
    control: bool

    def result(self, pair: Pair, target: Shot) -> Result: ...


class PipelineMethod:
    """One engine of a pipeline.

    keep: the folder for the results, marked as made by AI; options: further arguments of the pipeline's call.
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

    @property
    def held_out(self) -> float | None:
        """The percentage of people that the generator's training left out; None if the engine uses no generator."""
        if self.engine != "neural" or self.pipe.generator is None:
            return None
        return float(self.pipe.generator.config["held_out"])

    def result(self, pair: Pair, target: Shot) -> Result:
        source, photo = _picture(pair.source), _picture(target)  # decoding is not part of the swap time
        started = time.perf_counter()
        made = self.pipe(source, photo, engine=self.engine, **self.options)
        milliseconds = (time.perf_counter() - started) * 1000
        if self.keep is not None:
            path = self.keep / f"{result_name(pair, target)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            made.save(path, overwrite=True)
        return Result(made.pictures[0].pixels, milliseconds)


def _picture(shot: Shot) -> Picture:
    """Return the shot as a picture, named by its folder and file in refusals."""
    return Picture(shot.read(), name="/".join(shot.path.parts[-2:]))


class FolderMethod:
    """Another tool's results: FOLDER/NAME.png; for videos FOLDER/CLIP.mp4 (or another of VIDEOS) or
    FOLDER/CLIP/00012.png."""

    control = False

    def __init__(self, name: str, folder: Path) -> None:
        if not folder.is_dir():
            raise ReliableSwapError(
                f"there is no folder {folder} with the results of {name}; check --outputs"
            )
        self.name, self.folder = name, folder

    def result(self, pair: Pair, target: Shot) -> Result:
        wanted = result_name(pair, target)
        for suffix in sorted(PICTURES):
            path = self.folder / f"{wanted}{suffix}"
            if path.is_file():
                return Result(read_picture(path).pixels)
        if pair.clip is not None and target.frame is not None:
            for suffix in VIDEOS:
                video = self.folder / f"{pair.clip}{suffix}"
                if video.is_file():
                    frame = read_frame(video, target.frame)
                    return Result(frame, on_time=_on_time(video, target.path, target.frame))
        raise ReliableSwapError(f"no result {wanted} in {self.folder}")

    def check(self, pairs: Sequence[Pair]) -> None:
        """Raise if there is no result at all, so that a wrong folder does not look like a bad method."""
        for pair in pairs:
            try:
                self.result(pair, pair.target)
            except ReliableSwapError:
                continue
            return
        raise ReliableSwapError(
            f"{self.folder} holds none of the {len(pairs)} expected results, such as {pairs[0].name}.png; "
            "name the files as --list-pairs does"
        )


class UnchangedTarget:
    """Control: the target itself. Its copy rate is 1 and its attributes are perfect."""

    name, control = "unchanged target", True

    def result(self, pair: Pair, target: Shot) -> Result:
        return Result(target.read())


class RecompressedTarget:
    """Control: the target with its face recompressed as JPEG and pasted back with a soft edge, at its own size.

    Whatever tells it from photos is a trace of processing, not a flaw of the face.
    """

    name, control = "recompressed target", True
    QUALITY = 90

    def __init__(self, analyser: FaceAnalyser) -> None:
        self.analyser = analyser

    def result(self, pair: Pair, target: Shot) -> Result:
        photo = target.read()
        faces = self.analyser(photo)
        if not faces:
            raise NoFaceError(f"no face in {target.path}")
        mesh = faces[0].mesh
        inside = window(mesh, photo.shape[:2], 0.1 * face_width(mesh))
        crop = photo[inside]
        stored = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.QUALITY])[1]
        decoded = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR))[..., ::-1].astype(np.float32)
        mask = feathered(oval(mesh, photo.shape[:2]), _FEATHER * face_width(mesh))[inside]
        made = photo.copy()
        made[inside] = np.rint(crop + mask[..., None] * (decoded - crop))
        return Result(made)


class SourcePhoto:
    """Control: the source's photo as the result. Its retrieval is 1 and its attributes are the source's."""

    name, control = "source photo", True

    def result(self, pair: Pair, target: Shot) -> Result:
        return Result(pair.source.read())


def result_name(pair: Pair, target: Shot) -> str:
    """The file name of a result without its extension."""
    return pair.name if pair.clip is None or target.frame is None else f"{pair.clip}/{target.frame:05d}"


def _on_time(video: Path, target: Path, frame: int) -> bool:
    """Whether the clip has as many frames as the target, and this frame has the target's timestamp."""
    made, wanted = frame_times(video), frame_times(target)
    return len(made) == len(wanted) and abs(made[frame] - wanted[frame]) <= _TIME_TOLERANCE
