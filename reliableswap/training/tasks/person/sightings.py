"""Find a person's face in clips, where it is tracked and smoothed, and in folders of photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from reliableswap.data.photos import PICTURES
from reliableswap.errors import NoFaceError, ReliableSwapError
from reliableswap.faces.align import IDENTITY_WINDOW, align, apply
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import five_points
from reliableswap.faces.parts import Parts, find_parts
from reliableswap.faces.quality import covered_share, sharpness
from reliableswap.faces.track import ClipFaces, TrackSettings, find_faces
from reliableswap.faces.visibility import Covers, find_covers
from reliableswap.media import read_picture
from reliableswap.media.video.info import probe
from reliableswap.media.video.reader import ClipReader
from reliableswap.media.video.times import FrameTimes, times_of
from reliableswap.models.face_classes import CLASSES
from reliableswap.swap.networks import Networks, embed
from reliableswap.training.core.fingerprint import digest_of_files
from reliableswap.triplets.quality import light_slopes

_CROP = 128  # side at which frames are measured
_MIN_COSINE = 0.3  # least cosine of a photo's face to the folder's most typical one
_MEASURED_PER_KEPT = 4  # frames of a clip that are measured for each one that is kept


@dataclass(frozen=True, eq=False)
class Sighting:
    """The person's face in one picture.

    place: number of the frame or photo. mesh: (468,3) in the picture's pixels. width: pixels from cheek to cheek.
    covered: share of the face hidden by hair and hands. light: slopes of the brightness to the right and downwards.
    """

    place: int
    mesh: np.ndarray
    width: float
    sharpness: float
    covered: float
    light: tuple[float, float]


class Source(Protocol):
    """A clip or a folder. name: for messages. key: changes with the files."""

    name: str
    key: str

    def sightings(self, networks: Networks, wanted: int) -> list[Sighting]:
        """Return the person's face in the pictures, in order; clips give about `_MEASURED_PER_KEPT` times `wanted`."""
        ...

    def pictures(self, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (place, (H,W,3) uint8) for ascending places. Call `sightings` first."""
        ...


def open_source(text: str) -> Source:
    """Open a clip (CLIP#NUMBER for one of its people), a photo, or a folder of photos."""
    path = Path(text)
    if path.is_dir():
        return PhotoFolder(path)
    if path.suffix.lower() in PICTURES:
        return PhotoFolder(path)
    name, _, number = text.rpartition("#")
    if name and number.isascii() and number.isdigit() and not path.exists():
        return Clip(Path(name), int(number))
    return Clip(path, 1)


def measured(place: int, picture: np.ndarray, mesh: np.ndarray, networks: Networks) -> Sighting:
    """Measure a face with mesh (468,3) in a picture (H,W,3) uint8, to decide whether it is kept."""
    crop, matrix = align(picture, five_points(mesh), _CROP)
    moved = apply(matrix, mesh)
    right, down, _ = light_slopes(crop)
    width = float(np.linalg.norm(mesh[234] - mesh[454]))
    covered = covered_share(person_covers(crop, moved, networks), moved, crop.shape[:2])
    return Sighting(place, mesh, width, sharpness(crop), covered, (right, down))


def person_covers(crop: np.ndarray, mesh: np.ndarray, networks: Networks) -> Covers:
    """Find what covers the face in a crop (H,W,3) uint8 with mesh (468,3), by the VisibilityNet.

    Glasses belong to the person, as eyes do: a decoder should draw them.
    """
    seen = find_parts(crop, mesh, networks.visibility)
    probabilities = seen.probabilities.copy()
    eyes, glasses = CLASSES.index("eyes"), CLASSES.index("glasses")
    probabilities[eyes] += probabilities[glasses]
    probabilities[glasses] = 0
    return find_covers(crop, mesh, None, parts=Parts(probabilities, seen.matrix))


class Clip:
    """A clip's frames of person `number`; people are numbered from 1, by how many frames show them."""

    def __init__(self, path: Path, number: int) -> None:
        info = probe(path)
        info.check()
        self.reader, self.number, self.name = ClipReader(info), number, info.name
        self.key = f"{digest_of_files([path])} {number}"
        self._times: FrameTimes | None = None

    def sightings(self, networks: Networks, wanted: int) -> list[Sighting]:
        faces = self._faces(networks)
        if not 1 <= self.number <= len(faces.people):
            shows = f"persons 1 to {len(faces.people)}" if faces.people else "no face"
            raise NoFaceError(
                f"{self.name} has no person {self.number}; it shows {shows}; see `reliableswap faces {self.name}`"
            )
        seen = [
            frame
            for frame in range(faces.frames)
            if any(one.person == self.number for one in faces.numbers(frame))
        ]
        every = max(1, len(seen) // (wanted * _MEASURED_PER_KEPT))
        meshes = {
            frame: one.face.mesh
            for frame in seen[::every]
            for one in faces.at(frame)
            if one.person == self.number
        }
        pictures = self.pictures(list(meshes))
        return [measured(place, picture, meshes[place], networks) for place, picture in pictures]

    def pictures(self, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        assert self._times is not None
        for number, frame in self.reader.frames_at(places, self._times):
            yield number, frame.rgb

    def _faces(self, networks: Networks) -> ClipFaces:
        stamps, last = [], 1

        def pixels() -> Iterator[np.ndarray]:
            nonlocal last
            for frame in self.reader.frames():
                stamps.append(frame.pts)
                last = frame.duration
                yield frame.rgb

        faces = find_faces(pixels(), networks, settings=TrackSettings(rate=float(self.reader.info.rate)))
        self._times = times_of(stamps, last, self.reader.info.time_base)
        return faces


class PhotoFolder:
    """The photos of a folder, or one photo. The person is the one whom most of the photos show."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        self.paths = [one for one in found if one.suffix.lower() in PICTURES and one.is_file()]
        if not self.paths:
            raise ReliableSwapError(f"no pictures in {path}; give a clip or a folder of photos")
        self.key = digest_of_files(self.paths)

    def sightings(self, networks: Networks, wanted: int) -> list[Sighting]:
        analyser = BundledAnalyser(networks.detector, networks.landmarks)
        found, vectors = [], []
        for place, picture in self.pictures(range(len(self.paths))):
            faces = analyser(picture)
            if not faces:
                continue
            found.append(measured(place, picture, faces[0].mesh, networks))
            crop = align(picture, faces[0].points5)[0]
            vectors.append(embed(networks.identity, crop[IDENTITY_WINDOW])[0])
        if not found:
            raise NoFaceError(f"no face found in {self.name}; give photos in which the face is larger")
        kept = same_person(np.stack(vectors))
        return [one for one, same in zip(found, kept, strict=True) if same]

    def pictures(self, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        for place in places:
            yield place, read_picture(self.paths[place]).pixels


def same_person(vectors: np.ndarray) -> np.ndarray:
    """(N,D) identity vectors -> (N,) bool: photos of the person whom most of them show."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    cosines = unit @ unit.T
    typical = int((cosines > _MIN_COSINE).sum(1).argmax())
    return np.asarray(cosines[typical] > _MIN_COSINE)
