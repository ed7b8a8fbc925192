"""The first pass over a clip: find where each face is in every frame, and whose it is."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.face import Face
from reliableswap.media.atomic import atomic_file

from .follow import Follower
from .gather import Rows, gather
from .packed import PackedMeshes
from .settings import TrackSettings

logger = logging.getLogger(__name__)

_FORMAT = 1
_COLUMNS = ("frame", "track", "person", "score", "presence")
_PERSON_FIELDS = ("seen", "best_frame", "box", "vector", "thumbnail")


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """A face in one frame, with smoothed points and mesh in the frame's pixels.

    track: the same number within a shot, unless the face is lost for long. person: the same in the whole clip, from 1.
    """

    frame: int
    track: int
    person: int
    face: Face


class FaceNumbers(NamedTuple):
    """The numbers of a TrackedFace."""

    track: int
    person: int


@dataclass(frozen=True, eq=False)
class ClipPerson:
    """A person in a clip. seen: the number of frames that show them; people are numbered from 1, the most seen first.

    best_frame, box (4,), thumbnail (112,112,3) uint8: the best view of them. vector (D,) float32: their identity.
    """

    number: int
    seen: int
    best_frame: int
    box: np.ndarray
    vector: np.ndarray
    thumbnail: np.ndarray


class ClipFaces:
    """The faces of a whole clip. size: its frames' height and width. fingerprint: identifies clip and settings."""

    def __init__(
        self,
        frames: int,
        size: tuple[int, int],
        people: tuple[ClipPerson, ...],
        rows: Rows,
        fingerprint: str = "",
    ) -> None:
        self.frames, self.size, self.people, self.fingerprint = frames, size, people, fingerprint
        self._rows = rows

    def at(self, frame: int) -> list[TrackedFace]:
        """Return the faces to change in a frame, ordered by person."""
        rows = self._rows
        return [
            TrackedFace(
                frame,
                int(rows.track[i]),
                int(rows.person[i]),
                Face.from_mesh(rows.meshes[i], float(rows.score[i]), float(rows.presence[i])),
            )
            for i in self._rows_of(frame)
        ]

    def numbers(self, frame: int) -> list[FaceNumbers]:
        """Return the numbers of the faces that `at` returns, without their meshes: faster if all frames are needed."""
        rows = self._rows
        return [FaceNumbers(int(rows.track[i]), int(rows.person[i])) for i in self._rows_of(frame)]

    def _rows_of(self, frame: int) -> range:
        start, end = np.searchsorted(self._rows.frame, (frame, frame + 1))
        return range(int(start), int(end))

    def person(self, number: int) -> ClipPerson:
        """Return the person with that number."""
        if not 1 <= number <= len(self.people):
            known = f"it shows persons 1 to {len(self.people)}" if self.people else "it shows nobody"
            raise ReliableSwapError(f"the clip has no person {number}; {known}")
        return self.people[number - 1]

    def save(self, path: Path, *, overwrite: bool = True) -> None:
        """Atomically write a .npz file."""
        rows = self._rows
        arrays: dict[str, Any] = {f"people_{name}": self._of_people(name) for name in _PERSON_FIELDS}
        arrays |= rows.meshes.arrays() | {name: getattr(rows, name) for name in _COLUMNS}
        arrays |= {"format": _FORMAT, "fingerprint": self.fingerprint}
        arrays |= {"frames": self.frames, "size": self.size}
        with atomic_file(path, overwrite=overwrite) as stream:
            np.savez(stream, **arrays)

    def _of_people(self, name: str) -> np.ndarray:
        return np.array([getattr(person, name) for person in self.people])

    @classmethod
    def load(cls, path: Path) -> ClipFaces:
        """Read a file that `save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {name: file[name] for name in file.files}
            if int(data["format"]) != _FORMAT:
                raise ReliableSwapError(
                    f"{path} was written by another version; delete it to analyse the clip again"
                )
            return _of_arrays(data)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, ReliableSwapError):
                raise
            kind = type(error).__name__
            raise ReliableSwapError(
                f"{path} does not hold the faces of a clip ({kind}); delete it to analyse the clip again"
            ) from error

    @classmethod
    def reuse(cls, path: Path, fingerprint: str) -> ClipFaces | None:
        """Read a file if it exists, is complete, and has this fingerprint; else return None."""
        if not path.is_file():
            return None
        try:
            found = cls.load(path)
        except ReliableSwapError as error:
            logger.warning("%s", error)
            return None
        if found.fingerprint != fingerprint:
            logger.info("%s belongs to another clip or other settings; analysing the clip again", path)
            return None
        return found


def find_faces(
    frames: Iterable[np.ndarray],
    networks: Any,
    *,
    settings: TrackSettings | None = None,
    progress: Callable[[int], None] | None = None,
    fingerprint: str = "",
) -> ClipFaces:
    """Find, follow and identify the faces in the frames (H,W,3) uint8 RGB of a clip, in one pass.

    networks: detector, landmarks and identity, as `pipe.networks()` returns them; without identity every track is a
    person. progress: called after each frame with the number of frames done.
    """
    settings = settings or TrackSettings()
    follower = Follower(networks, settings)
    size = None
    for number, pixels in enumerate(frames, 1):
        if size is None:
            size = pixels.shape[:2]
        elif pixels.shape[:2] != size:
            raise ReliableSwapError(
                f"frame {number - 1} is {pixels.shape[1]}x{pixels.shape[0]}, but the frames before it are "
                f"{size[1]}x{size[0]}; give frames of one size"
            )
        follower(pixels)
        if progress is not None:
            progress(number)
    if size is None:
        raise ReliableSwapError("the clip has no frames; give one that can be decoded")
    rows, found = gather(follower, settings)
    people = tuple(
        ClipPerson(number, one.seen, one.best.frame, one.best.box, one.vector, one.thumbnail)
        for number, one in enumerate(found, 1)
    )
    return ClipFaces(follower.frame + 1, size, people, rows, fingerprint)


def _of_arrays(data: dict[str, np.ndarray]) -> ClipFaces:
    people = tuple(
        ClipPerson(number, int(seen), int(best), box, vector, thumbnail)
        for number, (seen, best, box, vector, thumbnail) in enumerate(
            zip(*(data[f"people_{name}"] for name in _PERSON_FIELDS), strict=True), 1
        )
    )
    meshes = PackedMeshes.of_arrays(data["mesh_frames"], data["mesh_offsets"])
    columns = {name: data[name] for name in _COLUMNS}
    if len({len(meshes), *map(len, columns.values())}) != 1:
        raise ValueError("columns of different lengths")
    height, width = map(int, data["size"])
    rows = Rows(meshes=meshes, **columns)
    return ClipFaces(int(data["frames"]), (height, width), people, rows, str(data["fingerprint"]))
