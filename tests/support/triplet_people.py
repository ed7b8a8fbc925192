"""Two photos of each of ten generated people, with stored meshes: tests of the triplets need no networks of ours.

data/people.safetensors holds the meshes, in whole pixels of the package's pictures, as MediaPipe's FaceMesh finds them
(YuNet's points, 192 px crop, mean of two passes).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from reliableswap.data.aligned import AlignedFace
from reliableswap.data.splits import Split
from reliableswap.faces.align import TEMPLATES, apply, crop, similarity
from reliableswap.faces.face import Face, five_points
from reliableswap.triplets.settings import FilterSettings, QualitySettings, SurrogateSettings, TripletSettings
from support.people import person

MESHES = load_file(Path(__file__).parents[1] / "data" / "people.safetensors")
PICTURES = ("studio_portrait", "amateur_selfie")
SIZE = 96


def photo(number: int, picture: str = PICTURES[0], width: float = 150.0) -> tuple[np.ndarray, np.ndarray]:
    """A crop of the package's photo with a face about `width` px wide, and its mesh."""
    image = cv2.imread(str(person(number, picture)), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]
    half = np.array([0.5, 0.5, 0], np.float32)
    mesh = (MESHES[f"P{number:03d}_{picture}"] + half) / 2 - half
    low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
    x0, y0 = np.maximum(low - 0.5 * (high - low), 0).astype(int)
    x1, y1 = (high + 0.5 * (high - low)).astype(int)
    piece = image[y0:y1, x0:x1]
    k = width / float(high[0] - low[0])
    piece = cv2.resize(piece, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
    mesh = (mesh - (x0, y0, 0) + half) * k - half
    return np.ascontiguousarray(piece), mesh.astype(np.float32)


def aligned(number: int, picture: str = PICTURES[0], size: int = 128) -> AlignedFace:
    image, mesh = photo(number, picture)
    matrix = similarity(five_points(mesh), TEMPLATES["arcface_128"].at(size))
    return AlignedFace(crop(image, matrix, size), apply(matrix, mesh))


class Known:
    """An analyser that looks up the stored meshes by a photo's pixels, and logs each call to `seen.txt`."""

    name = "known"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meshes = np.load(folder / "known.npz")

    def __call__(self, image: np.ndarray) -> list[Face]:
        with (self.folder / "seen.txt").open("a") as seen:
            seen.write(f"{image.shape}\n")
        key = digest(image)
        if key not in self.meshes:
            return []
        return [Face.from_mesh(self.meshes[key], score=0.95)]


def digest(image: np.ndarray) -> str:
    return hashlib.sha1(np.ascontiguousarray(image).tobytes()).hexdigest()


SETTINGS = TripletSettings(
    size=SIZE,
    pairs=14,
    shard_pairs=4,
    split=Split(70, 0, 30),
    quality=QualitySettings(min_sharpness=0.0, max_yaw=60, max_covered=1.0),
    filter=FilterSettings(min_to_source=-1, max_to_target=1, min_sharpness_kept=0.3),
    surrogates=SurrogateSettings(source_surrogate=True),
)


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "data").iterdir())}


def all_rows(folder: Path) -> list[dict]:
    return [row for path in sorted((folder / "data").iterdir()) for row in pq.read_table(path).to_pylist()]
