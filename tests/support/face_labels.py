"""Made-up labels of faces, and the command line that trains on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reliableswap.data.photos import Photo, list_photos
from reliableswap.data.records import Record, RecordCache
from reliableswap.jobs.units import Crew, Rank
from reliableswap.training.tasks.faces.labels import TeacherKind, teacher_record
from reliableswap.training.tasks.faces.mosaic import LabelledFace, LabelledPhoto

SIZE = 160


def face_mesh(rng: np.random.Generator) -> np.ndarray:
    """(468,3) random points, with a face's five points in plausible places of a 160 px photo."""
    mesh = rng.uniform(50, 110, (468, 3))
    for points, place in (
        ((33, 133), (62, 66)),
        ((362, 263), (98, 66)),
        ((4,), (80, 86)),
        ((61,), (66, 106)),
    ):
        mesh[list(points), :2] = place
    mesh[291, :2] = (94, 106)
    mesh[10], mesh[152], mesh[168] = (80, 40, 0), (80, 128, 0), (80, 66, -8)
    mesh[234], mesh[454] = (48, 80, 20), (112, 80, 20)
    mesh[33, 0], mesh[263, 0] = 56, 104
    mesh[133, 0], mesh[362, 0] = 68, 92
    return mesh.astype(np.float32)


@dataclass(frozen=True)
class MadeUp(TeacherKind):
    """Teachers that give predefined answers."""

    answers: Mapping[str, Record]

    def __call__(self, photo: Photo) -> Record:
        return self.answers[photo.name]


def store_labels(
    folder: Path, faces: np.ndarray, meshes: np.ndarray, mirrored: np.ndarray, flat: Collection[str] = ()
) -> None:
    """Store answers for the photos of a folder in its sub-folder `labels`. It is the teachers' folder, too.

    faces (N,15), meshes and mirrored (N,468,3): one row per photo, in the order of their names.
    """
    photos = list_photos(folder, flat)
    given = zip(photos, faces, meshes, mirrored, strict=True)
    answers = {photo.name: teacher_record(face[None], *both) for photo, face, *both in given}
    RecordCache(folder / "labels", MadeUp(folder, answers), photos).complete(Crew(Rank(), 1))


def arguments(kind: str, photos: Path, output: Path, *more: str) -> list[str]:
    return [
        "train", kind, "--faces", str(photos), "--teachers", str(photos), "--labels", str(photos / "labels"),
        "--output_dir", str(output), "--train_batch_size", "2", "--dataloader_num_workers", "0",
        "--validation_pictures", "2", "--mixed_precision", "no", "--lr_warmup_steps", "1", *more,
    ]  # fmt: skip


def white_face(side: int = 60) -> LabelledPhoto:
    """A photo whose face is a white box on black, so that tests can see where it went."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[20 : 20 + side, 30 : 30 + side] = 255
    box = np.array([29.5, 19.5, 29.5 + side, 19.5 + side], np.float32)
    points = np.array([[40, 35], [70, 35], [60, 50], [45, 70], [65, 70]], np.float32)
    return LabelledPhoto(pixels, [LabelledFace(box, points, True)])
