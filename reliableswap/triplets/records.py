"""Photos -> face records: found, measured and cropped once, kept in the cache, and read back as columns.

Photos are spread over buckets by a hash of their name, so a photo that is added or changed leaves most buckets as they
are, and its own bucket's other photos are not looked at again. A bucket is a Parquet file of small columns beside a
raw array of crops and meshes; the Parquet file is written last and whole, so a bucket is done or not there.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from reliableswap import __version__
from reliableswap.bundled import bundled
from reliableswap.data.photos import Photo
from reliableswap.data.storage import write_whole
from reliableswap.errors import PictureError, ReliableSwapError
from reliableswap.faces import glasses
from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.faces.analysers.base import FaceAnalyser
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.visibility import Covers, find_covers
from reliableswap.media import read_picture

from .duplicates import perceptual_hash
from .encode import Encoder, EncoderChoice
from .quality import Measures, covered_share, measure
from .surrogates import AlignedFace

BUCKETS = 256
_FORMAT = 6  # of the cache; a change here makes every record anew
_COVERS = 120  # cells a side in which covers are kept
_KEY = b"reliableswap"


@dataclass(frozen=True)
class RecordMaker:
    """Makes one bucket. `analyser` is a class or function without arguments that gives the FaceAnalyser."""

    cache: Path
    size: int
    pad: int
    analyser: Callable[[], FaceAnalyser]
    encoder: EncoderChoice | None
    recipe: str  # what besides the photos decides a record
    buckets: dict[int, list[Photo]]

    def __call__(self, bucket: int) -> int:
        """Write the bucket; returns its number of photos."""
        photos = self.buckets[bucket]
        known, tools = self._known(bucket), self._tools
        rows: list[dict[str, Any]] = []
        pixels: list[np.ndarray | np.void] = []
        for photo in photos:
            row, face = known.get((photo.name, photo.stamp)) or self._look(photo, *tools)
            if face is not None:
                row["row"] = len(pixels)
                pixels.append(face)
            rows.append({**row, "name": photo.name, "stamp": photo.stamp})
        self._write(bucket, rows, pixels)
        return len(photos)

    def done(self, bucket: int) -> bool:
        stored = _stored_key(self.table(bucket))
        return stored == self.key(bucket) and self.array(bucket, stored).is_file()

    def key(self, bucket: int) -> str:
        """Names the content: the recipe and every photo's name, size and time."""
        text = "\n".join([self.recipe, *(f"{p.name}\t{p.stamp}" for p in self.buckets[bucket])])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def table(self, bucket: int) -> Path:
        return self.cache / f"faces-{bucket:03d}.parquet"

    def array(self, bucket: int, key: str) -> Path:
        return self.cache / f"faces-{bucket:03d}-{key}.npy"

    def _known(
        self, bucket: int
    ) -> dict[tuple[str, str], tuple[dict[str, Any], np.ndarray | np.void | None]]:
        """Records of an earlier run of the same recipe, by photo and stamp."""
        table = self.table(bucket)
        stored = _stored_key(table)
        if stored is None or not self.array(bucket, stored).is_file():
            return {}
        metadata = pq.read_schema(table).metadata or {}
        if json.loads(metadata[_KEY])["recipe"] != self.recipe:
            return {}
        array = np.load(self.array(bucket, stored), mmap_mode="r")
        rows = pq.read_table(table).to_pylist()
        return {(r["name"], r["stamp"]): (r, array[r["row"]] if r["row"] >= 0 else None) for r in rows}

    @cached_property
    def _tools(self) -> tuple[FaceAnalyser, Encoder | None]:
        return self.analyser(), self.encoder.load() if self.encoder else None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_tools"}

    def _look(
        self, photo: Photo, analyser: FaceAnalyser, encoder: Encoder | None
    ) -> tuple[dict[str, Any], np.ndarray | np.void | None]:
        """The record of a photo, and its crop with mesh if it has a face. No photo stops a run."""
        try:
            return self._record(photo, analyser, encoder)
        except PictureError as error:
            return _without_face("unreadable", str(error)), None
        except Exception as error:
            return _without_face("failed", f"{type(error).__name__}: {error}"), None

    def _record(
        self, photo: Photo, analyser: FaceAnalyser, encoder: Encoder | None
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        image = read_picture(photo.path).pixels
        found = analyser(image)
        if not found:
            return _without_face("no face", "the analyser found no face"), None
        face = found[0]
        matrix = similarity(face.points5, TEMPLATES["arcface_128"].at(self.size) + self.pad)
        side = self.size + 2 * self.pad
        entry = np.zeros((), face_type(side))
        entry["crop"] = crop(image, matrix, side)
        entry["mesh"] = apply(matrix, face.mesh)
        covers = find_covers(entry["crop"], entry["mesh"], bundled_glasses(), strict=True)
        entry["covers"] = pack_covers(covers, side)
        entry["target_covers"] = pack_covers(
            find_covers(entry["crop"], entry["mesh"], bundled_glasses()), side
        )
        inner = entry["crop"][self.pad : self.pad + self.size, self.pad : self.pad + self.size]
        mesh = entry["mesh"] - np.array([self.pad, self.pad, 0], np.float32)
        enlargement = float(np.sqrt(np.linalg.det(matrix[:, :2])))
        covered = covered_share(covers, entry["mesh"], (side, side))
        measures = measure(inner, mesh, enlargement, face.score, covered)
        # One face at a time: what an embedding is must not depend on who was in the batch.
        embedding = encoder([inner])[0].tolist() if encoder else None
        row = _without_face("", "") | asdict(measures)
        return row | {"hash": perceptual_hash(inner).tobytes(), "embedding": embedding}, entry

    def _write(self, bucket: int, rows: list[dict[str, Any]], faces: Sequence[np.ndarray | np.void]) -> None:
        key = self.key(bucket)
        array = np.stack(faces) if faces else np.zeros(0, face_type(self.size + 2 * self.pad))
        path = self.array(bucket, key)
        write_whole(path, lambda draft: _save(draft, array))
        metadata = {_KEY: json.dumps({"key": key, "recipe": self.recipe})}
        table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata(metadata))
        write_whole(self.table(bucket), lambda draft: pq.write_table(table, draft, compression="zstd"))
        for old in self.cache.glob(f"faces-{bucket:03d}-*.npy"):
            if old != path:
                old.unlink(missing_ok=True)


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as stream:
        np.save(stream, array)


def face_type(side: int) -> np.dtype:
    """A padded crop, its mesh in its own pixels, and what covers it as a source and as a target."""
    covers = [(name, "u1", (_COVERS, _COVERS, 2)) for name in ("covers", "target_covers")]
    return np.dtype([("crop", "u1", (side, side, 3)), ("mesh", "<f4", (468, 3)), *covers])


def pack_covers(covers: Covers, side: int) -> np.ndarray:
    """(N,N,2) uint8 the maps of a picture of `side` pixels, on a grid of its own. The crop is aligned, so all faces
    are about as large on it as the blend room looks at them."""
    maps = cv2.resize(np.dstack(covers.on((side, side))), (_COVERS, _COVERS), interpolation=cv2.INTER_AREA)
    return np.rint(maps * 255).astype(np.uint8)


def unpack_covers(maps: np.ndarray, side: int) -> Covers:
    """The covers whose maps were packed. Which of them are glasses is not kept: they stay on."""
    scale = _COVERS / side
    return Covers(np.float32(1 / 255) * maps, scale, np.full(2, -0.5), glasses.NONE)


_SCHEMA = pa.schema(
    {
        "name": pa.string(),
        "stamp": pa.string(),
        "row": pa.int32(),
        "reason": pa.string(),
        "message": pa.string(),
        **{name: pa.float64() for name in Measures.__dataclass_fields__ if name != "light"},
        "light": pa.list_(pa.float64(), 3),
        "hash": pa.binary(),
        "embedding": pa.list_(pa.float32()),
    }
)


def _without_face(reason: str, message: str) -> dict[str, Any]:
    nothing = Measures(0, 0, 0, 0, 0, 0, 0, (0, 0, 0))
    line = " ".join(message.split())
    return {"row": -1, "reason": reason, "message": line, **asdict(nothing), "hash": b"", "embedding": None}


def _stored_key(table: Path) -> str | None:
    if not table.is_file():
        return None
    metadata = pq.read_schema(table).metadata or {}
    return str(json.loads(metadata[_KEY])["key"])


def into_buckets(photos: Sequence[Photo]) -> dict[int, list[Photo]]:
    """The photos by bucket, each in the order they came."""
    buckets: dict[int, list[Photo]] = defaultdict(list)
    for photo in photos:
        buckets[zlib.crc32(photo.name.encode()) % BUCKETS].append(photo)
    return dict(sorted(buckets.items()))


def analyser_label(analyser: FaceAnalyser) -> str:
    """The analyser's name and a fingerprint of its networks, so that new weights mean new records."""
    digest = hashlib.sha256()
    networks = [(n, v) for n, v in sorted(vars(analyser).items()) if isinstance(v, torch.nn.Module)]
    for name, network in networks:
        for key, value in sorted(network.state_dict().items()):
            digest.update(f"{name}.{key}".encode())
            digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{analyser.name} {digest.hexdigest()[:16]}" if networks else analyser.name


def recipe(size: int, pad: int, analyser: str, encoder: str | None) -> str:
    """What decides a record besides the photo."""
    weights = sorted(bundled("glasses").glob("*.safetensors"))  # covers depend on them
    told = hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:16]
    return json.dumps([_FORMAT, __version__, size, pad, analyser, encoder, told])


class Records:
    """The records of all photos as columns, by position in the list of photos; crops and meshes from the disk."""

    def __init__(self, maker: RecordMaker, photos: Sequence[Photo]) -> None:
        self.maker, self.photos = maker, photos
        position = {photo.name: i for i, photo in enumerate(photos)}
        self.reasons, self.messages = [""] * len(photos), [""] * len(photos)
        self.measures: list[Measures | None] = [None] * len(photos)
        self.hashes = np.zeros((len(photos), 4), np.uint64)
        self.place = np.full((len(photos), 2), -1, np.int32)
        vectors: dict[int, np.ndarray] = {}
        for bucket in maker.buckets:
            for row in pq.read_table(maker.table(bucket)).to_pylist():
                i = position[row["name"]]
                self.reasons[i], self.messages[i] = row["reason"], row["message"]
                if row["row"] < 0:
                    continue
                self.place[i] = bucket, row["row"]
                self.measures[i] = Measures(
                    **{name: row[name] for name in Measures.__dataclass_fields__ if name != "light"},
                    light=tuple(row["light"]),
                )
                self.hashes[i] = np.frombuffer(row["hash"], np.uint64)
                if row["embedding"] is not None:
                    vectors[i] = np.asarray(row["embedding"], np.float32)
        self.embeddings: np.ndarray | None = None
        if vectors:
            self.embeddings = np.zeros((len(photos), len(next(iter(vectors.values())))), np.float32)
            for i, vector in vectors.items():
                self.embeddings[i] = vector
        self._open: dict[int, np.ndarray] = {}

    def face(self, i: int) -> AlignedFace:
        """The padded crop and the mesh in its pixels."""
        bucket, row = (int(v) for v in self.place[i])
        if row < 0:
            raise ReliableSwapError(f"{self.photos[i].name} has no face, so it has no crop")
        if bucket not in self._open:
            path = self.maker.array(bucket, self.maker.key(bucket))
            self._open[bucket] = np.load(path, mmap_mode="r")
        entry = self._open[bucket][row]
        side = entry["crop"].shape[0]
        covers, target_covers = (unpack_covers(entry[name], side) for name in ("covers", "target_covers"))
        return AlignedFace(np.array(entry["crop"]), np.array(entry["mesh"]), covers, target_covers)
