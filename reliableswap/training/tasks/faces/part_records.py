"""Upright crops of photos, with the classes that each pixel may have, made once and kept in a record cache."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pyarrow as pa

from reliableswap.data.photos import Photo, list_photos, read_photo
from reliableswap.data.records import Record, RecordCache, Records
from reliableswap.data.splits import holds_out
from reliableswap.errors import PictureError, ReliableSwapError
from reliableswap.faces.align import apply, crop
from reliableswap.faces.looks import GLASSES
from reliableswap.faces.parts import SIZE, to_crop
from reliableswap.jobs.units import Crew, Rank

from .part_labels import ANY, sets_from_fasseg, sets_from_hair_mask, sets_from_photo
from .teachers import Teachers

PAD = 16  # margin in pixels around the network's crop, so that a shifted or rotated one can be cut
SIDE = SIZE + 2 * PAD
_SURE = 0.6  # detector score above which a face counts
_LARGEST_SCALE = 2.0  # photos whose face would be enlarged by more are left out
_FORMAT = 2  # of the records; change it to have all of them made again
_PHOTO_NUMBER = re.compile(r"_\d{4}$|(?<=personne\d\d).*$|^.*(?=personne\d\d)")


def person_of(photo: Photo) -> str:
    """Return whose face a photo shows: `Name_0001` is Name, FASSEG's people are `personne01`; else its identity."""
    return _PHOTO_NUMBER.sub("", photo.identity) or photo.identity


@dataclass(frozen=True)
class PartsKind:
    """Records of photos: crop and mesh of a face, and the classes that each of its pixels may have.

    A photo with a PNG of the same name beside it is labelled: by a hair mask in a folder whose name ends with `hair`,
    by FASSEG's numbers elsewhere.
    """

    teachers: Path
    columns: ClassVar[Mapping[str, pa.DataType]] = {"glasses": pa.float32(), "labels": pa.string()}
    entry: ClassVar[np.dtype] = np.dtype(
        [("crop", "u1", (SIDE, SIDE, 3)), ("sets", "<u2", (SIDE, SIDE)), ("mesh", "<f4", (468, 3))]
    )

    @property
    def recipe(self) -> str:
        return f"parts {_FORMAT} {SIDE}"

    def __call__(self, photo: Photo) -> Record:
        image = read_photo(photo)
        map_path = photo.path.with_suffix(".png")
        labelled = map_path.is_file() and map_path != photo.path
        mesh = self._mesh(image, central=labelled)
        if mesh is None:
            return Record(None, {}, "no face", "the teacher found no face")
        matrix = to_crop(mesh, PAD)
        if np.sqrt(np.linalg.det(matrix[:, :2])) > _LARGEST_SCALE:
            return Record(None, {}, "small", "the face is too small")
        seen, moved = crop(image, matrix, SIDE), apply(matrix, mesh)
        kind = "none"
        if labelled:
            labels = cv2.imread(str(map_path), cv2.IMREAD_GRAYSCALE)
            if labels is None or labels.shape != image.shape[:2]:
                raise PictureError(
                    f"{map_path} is not a label map of its photo's size; remove or recreate it"
                )
            kind = "hair" if photo.path.parent.name.endswith("hair") else "fasseg"
            labels = cv2.warpAffine(
                labels, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
            )
            made = (
                sets_from_hair_mask(labels > 127, seen, moved)
                if kind == "hair"
                else sets_from_fasseg(labels, seen, moved)
            )
        else:
            made = sets_from_photo(seen, moved)
        inside = cv2.warpAffine(
            np.ones(image.shape[:2], np.uint8), matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST
        )
        made[inside == 0] = ANY
        entry = np.zeros((), self.entry)
        entry["crop"], entry["sets"], entry["mesh"] = seen, made, moved
        return Record(entry, {"glasses": GLASSES.score(seen, moved), "labels": kind})

    def _mesh(self, image: np.ndarray, central: bool) -> np.ndarray | None:
        """Return the mesh of the largest face or, if `central`, of the one nearest the middle: label maps show that."""
        found = [face for face in self._loaded.detect(image) if face[14] > _SURE]
        if not found:
            return None
        middle = np.array(image.shape[1::-1]) / 2

        def rank(face: np.ndarray) -> float:
            off = float(np.linalg.norm((face[:2] + face[2:4]) / 2 - middle))
            return off if central else -float(face[2] - face[0])

        return self._loaded.mesh(image, min(found, key=rank)[4:14].reshape(5, 2))

    @cached_property
    def _loaded(self) -> Teachers:
        return Teachers(self.teachers)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the loaded teachers: another process loads them itself."""
        return {"teachers": self.teachers}


class PartsRecords(Records):
    """The records of all photos. `glasses`: log odds of wearing some; `labels`: none, hair or fasseg."""

    def __init__(self, cache: RecordCache) -> None:
        self.glasses = np.zeros(len(cache.photos), np.float32)
        self.labels = [""] * len(cache.photos)
        self.key = cache.key
        super().__init__(cache)

    def keep(self, i: int, columns: Mapping[str, Any]) -> None:
        self.glasses[i], self.labels[i] = columns["glasses"], columns["labels"]

    def rows(self, training: bool, labelled: bool) -> list[int]:
        """Return the photos with or without labels, of training people or of held-out ones."""
        return [
            i
            for i, photo in enumerate(self.photos)
            if self.found[i]
            and (self.labels[i] != "none") == labelled
            and holds_out(person_of(photo)) != training
        ]


def labelled_parts(folder: Path, teachers: Path, cache: Path, workers: int) -> PartsRecords:
    """Load or make the records of a folder's photos that have label maps."""
    flat = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    photos = [p for p in list_photos(folder, flat) if p.path.suffix.lower() != ".png"]
    photos = [photo for photo in photos if photo.path.with_suffix(".png").is_file()]
    if not photos:
        raise ReliableSwapError(f"no photo in {folder} has a label map beside it: a .png of the same name")
    return _complete(photos, teachers, cache, workers)


def unlabelled_parts(
    folder: Path, flat: Sequence[str], teachers: Path, cache: Path, workers: int
) -> PartsRecords:
    """Load or make the records of photos without label maps."""
    return _complete(list_photos(folder, flat), teachers, cache, workers)


def _complete(photos: Sequence[Photo], teachers: Path, cache: Path, workers: int) -> PartsRecords:
    records = RecordCache(cache, PartsKind(teachers), photos)
    rank = Rank.from_environment()
    if not all(map(records.done, records.buckets)):
        Teachers(teachers)  # raise for a missing file before any process starts
    records.complete(Crew(rank, workers), progress=rank.first)
    return PartsRecords(records)
