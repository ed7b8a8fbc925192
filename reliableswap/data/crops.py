"""Aligned 128 px crops and whose they are: made once of photos or of triplets, kept in one memory-mapped file.

Every worker process and every rank reads the same pages, so sixteen thousand crops cost their 800 MB once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from accelerate.utils import tqdm

from reliableswap.errors import PictureError, ReliableSwapError
from reliableswap.faces.align import align
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.media import read_picture
from reliableswap.training.core.distributed import processes
from reliableswap.triplets.records import analyser_label

from .jobs import make_all
from .photos import Photo, list_photos
from .splits import Split, holds_out
from .storage import decode_picture, write_whole

CROP = 128  # side of a crop by the template arcface_128
_CHUNK = 64  # photos a unit of work
Rows = Iterable[tuple[int, np.ndarray]]


@dataclass(frozen=True)
class Shown:
    """What is known of a crop without looking at it."""

    person: str
    training: bool  # False: this person is held out
    alone: bool  # in a flat folder: another photo under this name is a twin of the same photo


class Crops:
    """Row i is the crop of shown[i]; found[i] is False where the photo shows no face and the row is empty."""

    def __init__(self, file: Path, shown: Sequence[Shown], found: np.ndarray, key: str) -> None:
        self.file, self.shown, self.found, self.key = file, shown, found, key

    @cached_property
    def pixels(self) -> np.ndarray:
        """(N,128,128,3) uint8 RGB."""
        return np.load(self.file, mmap_mode="r")

    def __getstate__(self) -> dict[str, Any]:
        """Another process maps the file itself; pickled, the map would become a copy."""
        return {name: value for name, value in self.__dict__.items() if name != "pixels"}

    def rows(self, training: bool) -> np.ndarray:
        """Positions of the crops of training or of held-out people."""
        chosen = [i for i, one in enumerate(self.shown) if self.found[i] and one.training == training]
        return np.array(chosen, np.int64)

    def people(self, rows: Sequence[int] | np.ndarray) -> dict[str, list[int]]:
        """The rows by person: people with two photos or more."""
        together: dict[str, list[int]] = {}
        for i in rows:
            if not self.shown[i].alone:
                together.setdefault(self.shown[i].person, []).append(int(i))
        return {person: own for person, own in together.items() if len(own) > 1}


def crops_of_photos(faces: Path, cache: Path, flat: Collection[str], split: Split, workers: int) -> Crops:
    """Find and align the largest face of every photo, or read the cache if it is of these very photos.

    Kept out of training are the people whom any other part of the package keeps out: those the triplet factory puts
    into validation or test by these shares, and those the face networks and the evaluation hold out.
    """
    photos = list_photos(faces, flat)
    maker = CropMaker()
    key = _digest([analyser_label(maker.analyser), *(f"{p.name}\t{p.stamp}" for p in photos)])
    shown = [
        Shown(
            photo.identity,
            not split.holds_out(photo.identity) and not holds_out(photo.identity),
            photo.identity == Path(photo.name).stem,
        )
        for photo in photos
    ]
    units = [(start, photos[start : start + _CHUNK]) for start in range(0, len(photos), _CHUNK)]

    def fill() -> Rows:
        chunks = make_all(maker, units, workers)
        for chunk in tqdm(chunks, total=len(units), desc=f"faces of {len(photos):,} photos"):
            yield from chunk

    found = _kept(cache, key, len(photos), fill)
    if not found.any():
        raise ReliableSwapError(
            f"no face in any of the {len(photos)} photos of {faces}; pass photos of faces"
        )
    return Crops(cache, shown, found, key)


def crops_of_triplets(triplets: Path, cache: Path, kept_out: Collection[str]) -> Crops:
    """The surrogates C_ab and C_ba of the training shards, or the cache of these; none of people in kept_out."""
    import pyarrow.parquet as pq

    shards = sorted((triplets / "data").glob("train-*.parquet"))
    if not shards:
        raise ReliableSwapError(f"no shards of split train in {triplets / 'data'}; make triplets first")
    people = [pq.read_table(shard, columns=["identity_a", "identity_b"]).to_pylist() for shard in shards]
    banned = set(kept_out)
    shown = [
        Shown(f"{row['identity_a']} as {row['identity_b']}", not banned & set(row.values()), True)
        for rows in people
        for row in rows
        for _ in range(2)
    ]
    stamps = [f"{shard.name}\t{shard.stat().st_size}\t{shard.stat().st_mtime_ns}" for shard in shards]

    def fill() -> Rows:
        start = 0
        for shard in shards:
            table = pq.read_table(shard, columns=["c_ab", "c_ba"])
            for row in range(table.num_rows):
                for side, column in enumerate(("c_ab", "c_ba")):
                    data = table.column(column)[row]["bytes"].as_buffer()
                    yield start + 2 * row + side, _sized(decode_picture(data))
            start += 2 * table.num_rows

    key = _digest(stamps)
    return Crops(cache, shown, _kept(cache, key, len(shown), fill), key)


class CropMaker:
    """(first position, photos) -> position and crop of each photo with a face; can be sent to another process."""

    @cached_property
    def analyser(self) -> FaceAnalyser:
        return BundledAnalyser()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __call__(self, unit: tuple[int, Sequence[Photo]]) -> list[tuple[int, np.ndarray]]:
        start, photos = unit
        made = []
        for position, photo in enumerate(photos, start):
            try:
                image = read_picture(photo.path).pixels
            except PictureError:
                continue  # counted with the photos without a face
            faces = self.analyser(image)
            if faces:
                made.append((position, align(image, faces[0].points5, CROP)[0]))
        return made


def _kept(cache: Path, key: str, count: int, fill: Callable[[], Rows]) -> np.ndarray:
    """(count,) which rows are filled; the rows are written to the cache unless it has that key already.

    Of several processes the first one works while the others wait. The small file that says what the large one
    holds is removed first and written last, so that half a cache is none.
    """
    about = cache.with_suffix(".json")
    with processes().main_process_first():
        known = json.loads(about.read_text()) if about.is_file() and cache.is_file() else {}
        if known.get("key") != key:
            cache.parent.mkdir(parents=True, exist_ok=True)
            about.unlink(missing_ok=True)
            found = np.zeros(count, bool)

            def write(draft: Path) -> None:
                shape = (count, CROP, CROP, 3)
                pixels = np.lib.format.open_memmap(draft, mode="w+", dtype=np.uint8, shape=shape)
                for position, crop in fill():
                    pixels[position], found[position] = crop, True
                pixels.flush()

            write_whole(cache, write)
            known = {"key": key, "empty": np.flatnonzero(~found).tolist()}
            write_whole(about, lambda draft: draft.write_text(json.dumps(known)))
    found = np.ones(count, bool)
    found[known["empty"]] = False
    return found


def _sized(crop: np.ndarray) -> np.ndarray:
    """A crop by the same template at any size -> the same at 128 px."""
    if crop.shape[0] == CROP:
        return crop
    shrinks = crop.shape[0] > CROP
    return cv2.resize(crop, (CROP, CROP), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
