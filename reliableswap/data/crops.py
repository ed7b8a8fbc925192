"""Aligned 128 px crops and the people they show: made once from photos or from triplets, and memory-mapped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.align import align
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.jobs.units import Crew, Rank

from .cells import decode_picture
from .mapped import MappedRows
from .photos import Photo, list_photos, read_photo
from .records import Record, RecordCache, Records, analyser_label
from .shards import shards_of
from .splits import Split, holds_out
from .storage import write_array

CROP = 128  # side of a crop that is aligned to the template arcface_128


@dataclass(frozen=True)
class Shown:
    """Whom a crop shows.

    training: False if this person is held out; alone: the photo lies in a flat folder, where another photo with the
    same name is a copy of it.
    """

    person: str
    training: bool
    alone: bool


@dataclass(frozen=True, eq=False)
class Crops:
    """Crop i, pixels[i] (128,128,3) uint8 RGB, shows shown[i]; there is none where found[i] is False.

    folder: where further data on these crops can be stored; key: a digest of what they were made from.
    """

    folder: Path
    shown: Sequence[Shown]
    found: np.ndarray
    pixels: MappedRows
    key: str

    def rows(self, training: bool) -> np.ndarray:
        """The indices of the crops of people to train on, or of those held out."""
        chosen = [i for i, one in enumerate(self.shown) if self.found[i] and one.training == training]
        return np.array(chosen, np.int64)

    def people(self, rows: Sequence[int] | np.ndarray) -> dict[str, list[int]]:
        """The rows by person, for people with two photos or more."""
        together: dict[str, list[int]] = {}
        for i in rows:
            if not self.shown[i].alone:
                together.setdefault(self.shown[i].person, []).append(int(i))
        return {person: own for person, own in together.items() if len(own) > 1}


def crops_of_photos(faces: Path, folder: Path, flat: Collection[str], split: Split, workers: int) -> Crops:
    """Find and align the largest face of every photo, once, and keep the crops in `folder`.

    Hold out everybody whom any other part of the package holds out: the people outside the training part of `split`,
    and those whom the face networks and the evaluation hold out.
    """
    photos = list_photos(faces, flat)
    cache = RecordCache(folder, CropKind(json.dumps([analyser_label(BundledAnalyser()), CROP])), photos)
    rank = Rank.from_environment()
    cache.complete(Crew(rank, workers), progress=rank.first)
    records = Records(cache)
    if not records.found.any():
        raise ReliableSwapError(
            f"no face in any of the {len(photos)} photos of {faces}; give photos of faces"
        )
    shown = [
        Shown(
            photo.identity,
            _in_training_split(photo.identity, split),
            photo.identity == Path(photo.name).stem,
        )
        for photo in photos
    ]
    return Crops(folder, shown, records.found, records.entries, cache.key)


def _in_training_split(person: str, split: Split) -> bool:
    return not split.holds_out(person) and not holds_out(person)


@dataclass(frozen=True)
class CropKind:
    """Records of photos: the aligned crop of the largest face."""

    recipe: str
    columns: ClassVar[Mapping[str, pa.DataType]] = {}
    entry: ClassVar[np.dtype] = np.dtype(("u1", (CROP, CROP, 3)))

    @cached_property
    def analyser(self) -> FaceAnalyser:
        return BundledAnalyser()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the networks: another process loads its own."""
        return {name: value for name, value in self.__dict__.items() if name != "analyser"}

    def __call__(self, photo: Photo) -> Record:
        image = read_photo(photo)
        faces = self.analyser(image)
        if not faces:
            return Record(None, {}, "no face", "the analyser found no face")
        return Record(align(image, faces[0].points5, CROP)[0], {})


def crops_of_triplets(triplets: Path, folder: Path, split: Split, workers: int = 1) -> Crops:
    """Decode the surrogates C_ab and C_ba of the training shards, once, and keep them in `folder`.

    Those made from a person whom `crops_of_photos` would hold out are held out.
    """
    shards = shards_of(triplets, "train")
    if not shards:
        raise ReliableSwapError(f"no shards of split train in {triplets / 'data'}; make triplets first")
    maker = SurrogateMaker(folder)
    crew: Crew[Path] = Crew(Rank.from_environment(), workers)
    for _ in crew.make_own(maker, shards, maker.done):
        pass
    for _ in crew.wait_for_others(maker, shards, maker.done):
        pass
    shown, place = [], []
    for number, shard in enumerate(shards):
        rows = pq.read_table(shard, columns=["identity_a", "identity_b"]).to_pylist()
        for k, row in enumerate(rows):
            training = all(_in_training_split(person, split) for person in row.values())
            one = Shown(f"{row['identity_a']} as {row['identity_b']}", training, True)
            shown += [one, one]
            place += [(number, 2 * k), (number, 2 * k + 1)]
    files = [maker.file(shard) for shard in shards]
    pixels = MappedRows(files, np.array(place, np.int64).reshape(-1, 2))
    key = hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()[:16]
    return Crops(folder, shown, np.ones(len(shown), bool), pixels, key)


@dataclass(frozen=True)
class SurrogateMaker:
    """Shard -> the file of its surrogates (2N,128,128,3): C_ab and C_ba of each row."""

    folder: Path

    def file(self, shard: Path) -> Path:
        about = shard.stat()
        return self.folder / f"{shard.stem}-{about.st_size}-{about.st_mtime_ns}.npy"

    def done(self, shard: Path) -> bool:
        return self.file(shard).is_file()

    def __call__(self, shard: Path) -> None:
        table = pq.read_table(shard, columns=["c_ab", "c_ba"])
        crops = np.zeros((2 * table.num_rows, CROP, CROP, 3), np.uint8)
        for row in range(table.num_rows):
            for side, column in enumerate(("c_ab", "c_ba")):
                data = table.column(column)[row]["bytes"].as_buffer()
                crops[2 * row + side] = _resized(decode_picture(data))
        write_array(self.file(shard), crops)


def _resized(crop: np.ndarray) -> np.ndarray:
    """A crop of any size by the same template -> the same at 128 px."""
    if crop.shape[0] == CROP:
        return crop
    shrinks = crop.shape[0] > CROP
    return cv2.resize(crop, (CROP, CROP), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
