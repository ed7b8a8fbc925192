"""What the 468 mesh points mean: triangles, the mirrored twin of every point, named rings, a mean face.

topology.json is made by `train_accelerate.py blend-data` (training/mean_face.py, training/triangulate.py). The mean
face is the Procrustes mean (similarities in three dimensions) of the MediaPipe teacher's meshes on 4,928 photos of
1,363 people of Labeled Faces in the Wild, up to eight photos of each who has several. A point's twin is the one that
lands in its place when the photo is mirrored: an involution with 28 points on the midline, the same for 574 photos of
people held out. The triangles are a Delaunay triangulation of one half of the mean of the widest open mouths, unrolled
on a vertical cylinder, with edges flipped where the rings of lips and eyes need them, and mirrored to the other half.
Their border is the face oval, and there are the 898 that 468 points with a border of 36 must have. The rings alone are
not worked out from photos: they are MediaPipe's numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

import numpy as np

from reliableswap.errors import ReliableSwapError

POINTS = 468


@dataclass(frozen=True, eq=False)
class Topology:
    """triangles (T,3), wound clockwise on the screen; mirror (468,); canonical (468,3), eye distance 1."""

    triangles: np.ndarray
    mirror: np.ndarray
    canonical: np.ndarray
    regions: dict[str, np.ndarray]

    @cached_property
    def corners(self) -> np.ndarray:
        """(3,T) the triangles' first points, second points, third points."""
        return np.ascontiguousarray(self.triangles.T, np.int64)

    @property
    def oval(self) -> np.ndarray:
        """(36,) the outline, in order."""
        return self.regions["oval"]

    @property
    def eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """The two rings of the eyelids' edges."""
        return self.regions["right_eye"], self.regions["left_eye"]

    @property
    def brows(self) -> tuple[np.ndarray, np.ndarray]:
        return self.regions["right_brow"], self.regions["left_brow"]


@lru_cache(maxsize=1)
def topology() -> Topology:
    """The mesh's connectivity, read once from the package."""
    data = json.loads(files("reliableswap.geometry").joinpath("topology.json").read_text("utf-8"))
    return Topology(
        triangles=np.array(data["triangles"], np.int32),
        mirror=np.array(data["mirror"], np.int64),
        canonical=np.array(data["canonical"], np.float32),
        regions={name: np.array(ring, np.int64) for name, ring in data["regions"].items()},
    )


def checked_mesh(mesh: np.ndarray, owner: str) -> np.ndarray:
    """(468,3) float32 the mesh, or an error that names whose mesh is unusable and why."""
    mesh = np.asarray(mesh, np.float32)
    if mesh.shape != (POINTS, 3):
        raise ReliableSwapError(
            f"the {owner} mesh has shape {mesh.shape}; pass ({POINTS}, 3): x, y, z in pixels"
        )
    if not np.isfinite(mesh).all():
        bad = int((~np.isfinite(mesh).all(1)).sum())
        raise ReliableSwapError(
            f"the {owner} mesh has {bad} points that are not finite; detect the face again"
        )
    if np.ptp(mesh[:, :2], axis=0).min() < 2.0:
        raise ReliableSwapError(f"the {owner} mesh is less than 2 px wide or high; pass a larger face")
    return mesh


def checked_picture(picture: np.ndarray, owner: str) -> np.ndarray:
    """(H,W,3) uint8 the picture, or an error that names which picture has the wrong layout."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ReliableSwapError(
            f"the {owner} picture is {picture.dtype} of shape {picture.shape}; pass RGB uint8 of shape (H, W, 3)"
        )
    return picture
