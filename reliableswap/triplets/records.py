"""What the factory keeps of a photo: the padded aligned crop, its mesh, what covers it, and its measures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import cv2
import numpy as np
import pyarrow as pa

from reliableswap import __version__
from reliableswap.bundled import bundled
from reliableswap.data.aligned import AlignedFace
from reliableswap.data.encoders import Encoder, EncoderChoice
from reliableswap.data.photos import Photo, read_reduced
from reliableswap.data.records import Record
from reliableswap.faces import glasses
from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.faces.analysers.base import FaceAnalyser, largest_face
from reliableswap.faces.face import Face
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.quality import covered_share
from reliableswap.faces.visibility import Covers, source_and_target_covers

from .duplicates import perceptual_hash
from .quality import Measures, measure

_FORMAT = 8  # version of the records; another number invalidates all existing ones
_COVERS = 120  # side in cells of the stored covers
# A reduced photo is good enough if its face has this score and the crop has at least 1.5 photo pixels per pixel.
_SURE, _FINE = 0.9, 1 / 1.5
_LEAST_SIDE = 512  # of a reduced photo in pixels

MEASURES = [name for name in Measures.__dataclass_fields__ if name != "light"]


def recipe(size: int, pad: int, analyser: str, encoder: str | None) -> str:
    """Identify everything besides the photo that a record depends on."""
    weights = sorted(bundled("glasses").glob("*.safetensors"))  # covers depend on them
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:16]
    return json.dumps([_FORMAT, __version__, size, pad, analyser, encoder, digest])


@dataclass(frozen=True)
class FaceKind:
    """Makes the record of a photo's largest face.

    analyser: a class or function without arguments that returns the FaceAnalyser; recipe: see `recipe`.
    """

    recipe: str
    size: int
    pad: int
    analyser: Callable[[], FaceAnalyser]
    encoder: EncoderChoice | None

    columns: ClassVar[Mapping[str, pa.DataType]] = {
        **dict.fromkeys(MEASURES, pa.float64()),
        "light": pa.list_(pa.float64()),
        "hash": pa.binary(),
        "embedding": pa.list_(pa.float32()),
    }

    @property
    def entry(self) -> np.dtype:
        """The dtype of a padded crop, its mesh in crop pixels, and what covers it as a source and as a target."""
        side = self.size + 2 * self.pad
        covers = [(name, "u1", (_COVERS, _COVERS, 2)) for name in ("covers", "target_covers")]
        return np.dtype([("crop", "u1", (side, side, 3)), ("mesh", "<f4", (468, 3)), *covers])

    def __call__(self, photo: Photo) -> Record:
        analyser, encoder = self._networks
        image, reduction, face = self._look(photo, analyser)
        if face is None:
            return Record(None, {}, "no face", "the analyser found no face")
        matrix = self._matrix(face)
        mesh = np.asarray(apply(matrix, face.mesh), np.float32)
        padded = AlignedFace(crop(image, matrix, self.size + 2 * self.pad), mesh)
        covers, target_covers = self._covers(padded)
        inner = padded.inner(self.pad)
        enlargement = _scale(matrix) / reduction
        covered = covered_share(covers, padded.mesh, padded.crop.shape[:2])
        measures = measure(inner.crop, inner.mesh, enlargement, face.score, covered)
        columns = asdict(measures) | {
            "hash": perceptual_hash(inner.crop).tobytes(),
            # One face at a time: an embedding must not depend on the other faces of a batch.
            "embedding": encoder([inner.crop])[0].tolist() if encoder else None,
        }
        return Record(self._entry(padded, covers, target_covers), columns)

    def _look(self, photo: Photo, analyser: FaceAnalyser) -> tuple[np.ndarray, int, Face | None]:
        """Return the photo, reduced if its face stays good enough, the factor of reduction, and its largest face."""
        image, reduction = read_reduced(photo, max(_LEAST_SIDE, 4 * self.size))
        face = largest_face(analyser, image)
        if reduction > 1 and (face is None or face.score < _SURE or _scale(self._matrix(face)) > _FINE):
            image, reduction = read_reduced(photo, None)
            face = largest_face(analyser, image)
        return image, reduction, face

    def _matrix(self, face: Face) -> np.ndarray:
        """(2,3) matrix from the photo to the padded crop."""
        return similarity(face.points5, TEMPLATES["arcface_128"].at(self.size) + self.pad)

    def _covers(self, face: AlignedFace) -> tuple[Covers, Covers]:
        """What covers the face as a source and as a target."""
        return source_and_target_covers(face.crop, face.mesh, bundled_glasses())

    def _entry(self, face: AlignedFace, covers: Covers, target_covers: Covers) -> np.ndarray:
        entry, side = np.zeros((), self.entry), face.crop.shape[0]
        entry["crop"], entry["mesh"] = face.crop, face.mesh
        entry["covers"], entry["target_covers"] = pack_covers(covers, side), pack_covers(target_covers, side)
        return entry

    @cached_property
    def _networks(self) -> tuple[FaceAnalyser, Encoder | None]:
        return self.analyser(), self.encoder.load() if self.encoder else None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the networks: another process loads its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_networks"}


def _scale(matrix: np.ndarray) -> float:
    return float(np.sqrt(np.linalg.det(matrix[:, :2])))


def pack_covers(covers: Covers, side: int) -> np.ndarray:
    """Resample the covers of a picture of `side` pixels to maps (120,120,2) uint8.

    The crop is aligned, so every face is about as wide in cells as the copy on which covers are looked for.
    """
    maps = cv2.resize(np.dstack(covers.on((side, side))), (_COVERS, _COVERS), interpolation=cv2.INTER_AREA)
    return np.rint(maps * 255).astype(np.uint8)


def unpack_covers(maps: np.ndarray, side: int) -> Covers:
    """Unpack covers. Which of them are glasses is not stored, so a swap leaves the target's glasses on."""
    scale = _COVERS / side
    return Covers(np.float32(1 / 255) * maps, scale, np.full(2, -0.5), glasses.NONE)


def stored_face(entry: np.ndarray | np.void) -> AlignedFace:
    """The padded crop of an entry with its mesh and covers."""
    side = entry["crop"].shape[0]
    covers, target_covers = (unpack_covers(entry[name], side) for name in ("covers", "target_covers"))
    return AlignedFace(np.array(entry["crop"]), np.array(entry["mesh"]), covers, target_covers)
