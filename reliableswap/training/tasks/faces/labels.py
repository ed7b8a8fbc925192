"""The teachers' answers for a folder of photos, computed once and kept in one .npz file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import tqdm

from reliableswap.data.jobs import make_all
from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.splits import HELD_OUT, holds_out
from reliableswap.data.storage import write_whole
from reliableswap.errors import ReliableSwapError
from reliableswap.media import read_picture
from reliableswap.training.core.distributed import processes
from reliableswap.training.core.settings import DistilSettings

from .teachers import DETECTOR_FILE, MESH_FILE, Teachers

_SURE = 0.6  # detector score below which a photo's best face gets no mesh
_CHUNK = 32  # photos per unit of work

Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Labels:
    """The faces of all photos: row n of `faces` belongs to photos[owner[n]]. Only a photo's best face has meshes."""

    photos: list[Photo]
    owner: np.ndarray  # (N,) the photo's index
    faces: np.ndarray  # (N,15) box, five points, score
    meshes: np.ndarray  # (P,468,3) mesh of the best face, NaN without one
    mirrored: np.ndarray  # (P,468,3) the same for the mirrored photo, in its pixels

    def rows(self, training: bool) -> list[int]:
        """Indices of the photos with a mesh, of the people to train on or of those held out."""
        usable = ~np.isnan(self.meshes[:, 0, 0])
        chosen = [
            i for i, photo in enumerate(self.photos) if usable[i] and holds_out(photo.identity) != training
        ]
        if not chosen:
            part = "training" if training else "held-out"
            raise ReliableSwapError(
                f"none of the {len(self.photos)} photos shows a face of the {part} people ({HELD_OUT:g} % are held "
                "out, by a hash of the name); add photos of more people, one sub-folder each"
            )
        return chosen


class PhotoStore:
    """Decoded photos by index. As many as fit stay in memory: decoding dominates the cost of a sample."""

    def __init__(self, photos: Sequence[Photo], indices: Sequence[int], gigabytes: float = 3.0) -> None:
        self.photos = photos
        self.held: dict[int, np.ndarray] = {}
        room = gigabytes * 2**30
        for index in indices:
            image = self._read(index)
            room -= image.nbytes
            if room < 0:
                break
            self.held[index] = image

    def __getitem__(self, index: int) -> np.ndarray:
        """(H,W,3) uint8 RGB."""
        image = self.held.get(index)
        return self._read(index) if image is None else image

    def _read(self, index: int) -> np.ndarray:
        return read_picture(self.photos[index].path).pixels


def label_photos(
    folder: Path, teachers: Path, cache: Path, flat: Collection[str] = (), workers: int = 2
) -> Labels:
    """Run the teachers over every photo of the folder, or read the cache if it is of these very photos.

    Rank 0 works while the other ranks wait.
    """
    photos = list_photos(folder, flat)
    key = labels_key(photos, teachers)
    with processes().main_process_first():
        return _stored(cache, key, photos) or _labelled(teachers, photos, cache, key, workers)


def labels_key(photos: Sequence[Photo], teachers: Path) -> str:
    """A digest of the photos' names and sizes and of the teachers' sizes."""
    sizes = [f"{Path(photo.name).name} {photo.bytes}" for photo in photos]
    files = [path for name in (DETECTOR_FILE, MESH_FILE) if (path := teachers / name).is_file()]
    sizes += [f"{path.name} {path.stat().st_size}" for path in files]
    return hashlib.sha256("\n".join([*(photo.name for photo in photos), *sizes]).encode()).hexdigest()


class Labeller:
    """Makes a unit's answers by index: the detected faces, the best face's mesh, and that of the mirrored photo."""

    def __init__(self, teachers: Path) -> None:
        self.folder = teachers

    def __call__(self, unit: Sequence[tuple[int, Photo]]) -> list[tuple[int, Answer]]:
        return [(index, self._answer(photo)) for index, photo in unit]

    def __getstate__(self) -> dict[str, Any]:
        """The teachers' sessions can't be sent to another process, which loads its own."""
        return {"folder": self.folder}

    @cached_property
    def _teachers(self) -> Teachers:
        return Teachers(self.folder)

    def _answer(self, photo: Photo) -> Answer:
        image = read_picture(photo.path).pixels
        found = self._teachers.detect(image)
        nothing = np.full((468, 3), np.nan, np.float32)
        if not len(found) or found[0, 14] < _SURE:
            return found, nothing, nothing
        points = found[0, 4:14].reshape(5, 2)
        mirrored_points = points[[1, 0, 2, 4, 3]] * (-1, 1) + (image.shape[1] - 1, 0)
        mirror = np.ascontiguousarray(image[:, ::-1])
        return found, self._teachers.mesh(image, points), self._teachers.mesh(mirror, mirrored_points)


def _stored(cache: Path, key: str, photos: list[Photo]) -> Labels | None:
    if not cache.is_file():
        return None
    with np.load(cache) as stored:
        if str(stored["key"]) != key:
            return None
        return Labels(photos, stored["owner"], stored["faces"], stored["meshes"], stored["mirrored"])


def _labelled(teachers: Path, photos: list[Photo], cache: Path, key: str, workers: int) -> Labels:
    Teachers(teachers)  # a missing file is an error before any process starts
    numbered = list(enumerate(photos))
    units = [numbered[start : start + _CHUNK] for start in range(0, len(numbered), _CHUNK)]
    made = make_all(Labeller(teachers), units, workers)
    found = dict(pair for part in tqdm(made, total=len(units), desc="teachers") for pair in part)
    answers = [found[i] for i in range(len(photos))]
    labels = Labels(
        photos,
        np.concatenate([np.full(len(faces), i) for i, (faces, _, _) in enumerate(answers)]),
        np.concatenate([faces for faces, _, _ in answers]),
        np.stack([mesh for _, mesh, _ in answers]),
        np.stack([mesh for _, _, mesh in answers]),
    )
    write_whole(cache, lambda draft: _save(draft, key, labels))
    return labels


def _save(path: Path, key: str, labels: Labels) -> None:
    arrays = {name: getattr(labels, name) for name in ("owner", "faces", "meshes", "mirrored")}
    with path.open("wb") as stream:
        np.savez(stream, key=np.array(key), **arrays)


def facts(settings: DistilSettings, labels: Labels) -> dict[str, str]:
    """The card's facts about the photos and the teachers."""
    learnt, kept = len(labels.rows(training=True)), len(labels.rows(training=False))
    found = {
        "photos": f"{len(labels.photos):,}; {learnt:,} with a face to learn from, {kept:,} of held-out people",
        "teachers": "YuNet for boxes and five points, MediaPipe FaceMesh for meshes",
    }
    if settings.backgrounds:
        found["without faces"] = settings.backgrounds.name
    return found


def fingerprint(settings: DistilSettings, labels: Labels) -> dict[str, str]:
    """Digests of the labelled photos and of the backgrounds, for a run that resumes."""
    digests = {"photos": labels_key(labels.photos, settings.teachers)[:16]}
    if settings.backgrounds:
        digests["backgrounds"] = labels_key(list_photos(settings.backgrounds), settings.backgrounds)[:16]
    return digests
