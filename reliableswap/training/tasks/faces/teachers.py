"""What the face networks learn from: a public detector and a public face mesh, run once over the photos.

The teachers are files the caller brings (YuNet and MediaPipe's FaceMesh as ONNX, both Apache-2.0). Their
answers for photos and for mirrored photos are kept in one .npz beside the training's output, because they
never change while the student learns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from accelerate.utils import tqdm

from reliableswap.data.photos import HELD_OUT, stands_last
from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.facemesh import FaceMesh
from reliableswap.training.core.distributed import processes
from reliableswap.training.core.settings import DistilSettings

DETECTOR_FILE = "yunet_n_dynamic.onnx"
MESH_FILE = "facemesh_468.onnx"
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class Teachers:
    """Both teachers, one thread each."""

    def __init__(self, folder: Path) -> None:
        for name in (DETECTOR_FILE, MESH_FILE):
            if not (folder / name).is_file():
                raise ReliableSwapError(
                    f"no teacher {name} in {folder}; pass --teachers with the folder that holds it"
                )
        self.detector = cv2.FaceDetectorYN.create(str(folder / DETECTOR_FILE), "", (320, 320), 0.3)
        self.mesh = FaceMesh(folder / MESH_FILE)

    def detect(self, image: np.ndarray) -> np.ndarray:
        """(N,15) box x0 y0 x1 y1, five points, score of each face in an RGB picture, best first."""
        height, width = image.shape[:2]
        self.detector.setInputSize((width, height))
        found = self.detector.detect(np.ascontiguousarray(image[..., ::-1]))[1]
        if found is None:
            return np.zeros((0, 15), np.float32)
        found = found[np.argsort(-found[:, 14])].astype(np.float32)
        found[:, 2:4] += found[:, :2]
        return found


@dataclass
class Labels:
    """Teachers' answers: `faces` rows belong to photos[owner]; meshes only of each photo's best face."""

    photos: list[str]
    owner: np.ndarray  # (N,) photo index of each detected face
    faces: np.ndarray  # (N,15) box, five points, score
    meshes: np.ndarray  # (P,468,3) mesh of the best face, NaN where there is none
    mirrored: np.ndarray  # (P,468,3) the same for the mirrored photo, in its own pixels


def held_out(photo: str, flat: Collection[str] = (), percent: int = HELD_OUT) -> bool:
    """Whether this photo's person is kept out of training: those who stand last, as in the triplets' own splits.

    A person is the photo's folder, or, in one of the `flat` folders or in none, the photo's own name.
    """
    path = Path(photo)
    person = path.stem if path.parent.name in {*flat, ""} else path.parent.name
    return stands_last(person, percent)


def read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ReliableSwapError(f"can't read {path} as a picture; remove it from the training folder")
    return np.ascontiguousarray(image[..., ::-1])


class PhotoStore:
    """Decoded photos by index, held in memory as far as a limit: decoding is most of what a mosaic costs."""

    def __init__(
        self, folder: Path, photos: Sequence[str], indices: Sequence[int], gigabytes: float = 3.0
    ) -> None:
        self.folder, self.photos = folder, photos
        self.held: dict[int, np.ndarray] = {}
        room = gigabytes * 2**30
        for index in indices:
            image = read_rgb(folder / photos[index])
            room -= image.nbytes
            if room < 0:
                break
            self.held[index] = image

    def __getitem__(self, index: int) -> np.ndarray:
        image = self.held.get(index)
        return read_rgb(self.folder / self.photos[index]) if image is None else image


def find_photos(folder: Path) -> list[str]:
    photos = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    if not photos:
        raise ReliableSwapError(f"no pictures under {folder}; pass --faces with a folder of photos")
    return photos


def _label(job: tuple[Path, Path, str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    folder, teachers_folder, photo = job
    global _teachers
    if _teachers is None:
        cv2.setNumThreads(1)
        _teachers = Teachers(teachers_folder)
    image = read_rgb(folder / photo)
    found = _teachers.detect(image)
    nothing = np.full((468, 3), np.nan, np.float32)
    if not len(found) or found[0, 14] < 0.6:
        return found, nothing, nothing
    mesh = _teachers.mesh(image, found[0, 4:14].reshape(5, 2))
    mirror = np.ascontiguousarray(image[:, ::-1])
    points = found[0, 4:14].reshape(5, 2)[[1, 0, 2, 4, 3]] * (-1, 1) + (image.shape[1] - 1, 0)
    return found, mesh, _teachers.mesh(mirror, points)


_teachers: Teachers | None = None  # one pair a worker process: sessions can't be sent between processes


def labels_key(folder: Path, teachers: Path, photos: Sequence[str]) -> str:
    """What tells whether stored labels are those of these photos, by these teachers."""
    files = [folder / photo for photo in photos]
    files += [path for name in (DETECTOR_FILE, MESH_FILE) if (path := teachers / name).is_file()]
    lines = [f"{path.name} {path.stat().st_size}" for path in files]
    return hashlib.sha256("\n".join([*photos, *lines]).encode()).hexdigest()


def label_photos(folder: Path, teachers: Path, cache: Path, workers: int = 2) -> Labels:
    """Run the teachers over every photo below the folder, or read the cache if it is of these very photos.

    Of several processes the first one works while the others wait.
    """
    photos = find_photos(folder)
    key = labels_key(folder, teachers, photos)
    with processes().main_process_first():
        return _stored(cache, key, photos) or _labelled(folder, teachers, photos, cache, key, workers)


def _stored(cache: Path, key: str, photos: list[str]) -> Labels | None:
    if not cache.is_file():
        return None
    with np.load(cache) as stored:
        if str(stored["key"]) != key:
            return None
        return Labels(photos, stored["owner"], stored["faces"], stored["meshes"], stored["mirrored"])


def _labelled(folder: Path, teachers: Path, photos: list[str], cache: Path, key: str, workers: int) -> Labels:
    import multiprocessing

    jobs = [(folder, teachers, photo) for photo in photos]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        answers = list(tqdm(pool.imap(_label, jobs, chunksize=32), total=len(jobs), desc="teachers"))
    labels = Labels(
        photos,
        np.concatenate([np.full(len(found), i) for i, (found, _, _) in enumerate(answers)]),
        np.concatenate([found for found, _, _ in answers]),
        np.stack([mesh for _, mesh, _ in answers]),
        np.stack([mesh for _, _, mesh in answers]),
    )
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npz")
    np.savez(
        part, key=key, owner=labels.owner, faces=labels.faces, meshes=labels.meshes, mirrored=labels.mirrored
    )
    part.replace(cache)
    return labels


def described(settings: DistilSettings, labels: Labels) -> dict[str, str]:
    """The card's words about the photos, and whose answers about them were learnt."""
    learnt, kept = (len(split(labels, training, settings.flat)) for training in (True, False))
    facts = {
        "photos": f"{len(labels.photos):,}; {learnt:,} with a face to learn from, {kept:,} of held-out people",
        "teachers": "YuNet for boxes and five points, MediaPipe FaceMesh for meshes",
    }
    if settings.backgrounds:
        facts["without faces"] = settings.backgrounds.name
    return facts


def split(labels: Labels, training: bool, flat: Collection[str] = ()) -> Sequence[int]:
    """Indices of the photos with a face and a mesh that belong to the training or to the held-out people."""
    usable = ~np.isnan(labels.meshes[:, 0, 0])
    chosen = [i for i, photo in enumerate(labels.photos) if usable[i] and held_out(photo, flat) != training]
    if not chosen:
        part = "training" if training else "held-out"
        raise ReliableSwapError(
            f"none of the {len(labels.photos)} photos belongs to the {part} people (a tenth, by a hash of the "
            "name, is held out); add photos of more people, one sub-folder each"
        )
    return chosen
