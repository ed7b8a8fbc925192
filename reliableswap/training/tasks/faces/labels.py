"""The teachers' answers on a folder of photos, computed once and kept in a record cache."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from reliableswap.data.photos import Photo, list_photos, read_photo
from reliableswap.data.records import Record, RecordCache, Records
from reliableswap.data.splits import HELD_OUT, holds_out
from reliableswap.errors import ReliableSwapError
from reliableswap.jobs.units import Crew, Rank
from reliableswap.media import read_picture
from reliableswap.training.core.settings import DistilSettings

from .teachers import Teachers, teacher_files

_SURE = 0.6  # detector score below which a photo's best face gets no mesh


@dataclass
class Labels:
    """The faces of all photos: row n of `faces` belongs to photos[owner[n]]. Only a photo's best face has meshes."""

    photos: list[Photo]
    owner: np.ndarray  # (N,) the photo's index
    faces: np.ndarray  # (N,15) box, five points, score
    meshes: np.ndarray  # (P,468,3) mesh of the best face, NaN without one
    mirrored: np.ndarray  # (P,468,3) the same for the mirrored photo, in its pixels

    def rows(self, training: bool) -> list[int]:
        """Return the indices of the photos with a mesh, of training people or of held-out ones."""
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
    """Decoded photos by index. As many as fit are kept in memory, because decoding dominates the cost of a sample."""

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
    """Run the teachers over every photo of the folder that has no answers in `cache` yet; all ranks share the work."""
    photos = list_photos(folder, flat)
    records = RecordCache(cache, TeacherKind(teachers), photos)
    rank = Rank.from_environment()
    if not all(map(records.done, records.buckets)):
        Teachers(teachers)  # raise for a missing file before any process starts
    records.complete(Crew(rank, workers), progress=rank.first)
    return TeacherRecords(records).labels()


def labels_key(photos: Sequence[Photo], teachers: Path) -> str:
    """A digest of the photos' names and sizes and of the teachers' sizes."""
    sizes = [f"{Path(photo.name).name} {photo.bytes}" for photo in photos]
    sizes += _sizes(teachers)
    return hashlib.sha256("\n".join([*(photo.name for photo in photos), *sizes]).encode()).hexdigest()


def _sizes(teachers: Path) -> list[str]:
    """Return the name and size of each teacher file that is used."""
    return [f"{path.name} {path.stat().st_size}" for path in teacher_files(teachers)]


@dataclass(frozen=True)
class TeacherKind:
    """Records of photos: the detected faces, the best face's mesh, and that of the mirrored photo."""

    teachers: Path
    columns: ClassVar[Mapping[str, pa.DataType]] = {"faces": pa.list_(pa.float32())}
    entry: ClassVar[np.dtype] = np.dtype([(name, "<f4", (468, 3)) for name in ("mesh", "mirrored")])

    @property
    def recipe(self) -> str:
        return "\n".join(_sizes(self.teachers))

    def __call__(self, photo: Photo) -> Record:
        image = read_photo(photo)
        found = self._loaded.detect(image)
        if not len(found) or found[0, 14] < _SURE:
            nothing = np.full((468, 3), np.nan, np.float32)
            return teacher_record(found, nothing, nothing)
        points = found[0, 4:14].reshape(5, 2)
        mirrored_points = points[[1, 0, 2, 4, 3]] * (-1, 1) + (image.shape[1] - 1, 0)
        mirror = np.ascontiguousarray(image[:, ::-1])
        return teacher_record(
            found, self._loaded.mesh(image, points), self._loaded.mesh(mirror, mirrored_points)
        )

    @cached_property
    def _loaded(self) -> Teachers:
        return Teachers(self.teachers)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the loaded teachers: another process loads them itself."""
        return {"teachers": self.teachers}


def teacher_record(faces: np.ndarray, mesh: np.ndarray, mirrored: np.ndarray) -> Record:
    """Make the record of a photo from the teachers' answers: faces (N,15), meshes (468,3)."""
    entry = np.zeros((), TeacherKind.entry)
    entry["mesh"], entry["mirrored"] = mesh, mirrored
    return Record(entry, {"faces": np.asarray(faces, np.float32).ravel()})


class TeacherRecords(Records):
    """The stored answers; photos that can't be read have none."""

    def __init__(self, cache: RecordCache) -> None:
        self._faces = [np.zeros((0, 15), np.float32)] * len(cache.photos)
        super().__init__(cache)

    def keep(self, i: int, columns: Mapping[str, Any]) -> None:
        self._faces[i] = np.array(columns["faces"], np.float32).reshape(-1, 15)

    def labels(self) -> Labels:
        meshes = np.full((2, len(self.photos), 468, 3), np.nan, np.float32)
        for i in np.flatnonzero(self.found):
            entry = self.entries[i]
            meshes[0, i], meshes[1, i] = entry["mesh"], entry["mirrored"]
        owner = np.concatenate([np.full(len(faces), i) for i, faces in enumerate(self._faces)])
        return Labels(list(self.photos), owner, np.concatenate(self._faces), *meshes)


def facts(settings: DistilSettings, labels: Labels) -> dict[str, str]:
    """Facts about the photos and the teachers for the model card."""
    learnt, kept = len(labels.rows(training=True)), len(labels.rows(training=False))
    found = {
        "photos": f"{len(labels.photos):,}; {learnt:,} with a face to train on, {kept:,} of held-out people",
        "teachers": ", ".join(path.name for path in teacher_files(settings.teachers)),
    }
    if settings.backgrounds:
        found["without faces"] = settings.backgrounds.name
    return found


def fingerprint(settings: DistilSettings, labels: Labels) -> dict[str, str]:
    """Digests of the labelled photos and of the backgrounds, which a resumed run compares."""
    digests = {"photos": labels_key(labels.photos, settings.teachers)[:16]}
    if settings.backgrounds:
        digests["backgrounds"] = labels_key(list_photos(settings.backgrounds), settings.backgrounds)[:16]
    return digests
