"""The 468 mesh points: triangles, the mirror point of every point, named rings, and a mean face.

`tools/blend_data.py` writes topology.json (tools/mean_face.py, tools/triangulate.py). The mean face is the Procrustes
mean, by 3D similarities, of MediaPipe's meshes on 4,928 photos of 1,363 people of Labeled Faces in the Wild, up to
eight photos of each. A point's mirror is the point that takes its place when the photo is mirrored: 28 points lie on
the midline, and 574 photos of other people give the same pairs. The triangles are a Delaunay triangulation of one half
of the mean of the widest open mouths, unrolled on a vertical cylinder, with edges flipped to follow the rings of lips
and eyes, and mirrored to the other half. There are 898, as there must be for 468 points with a border of 36; the border
is the face oval. The rings' numbers are MediaPipe's.
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
    """triangles: (T,3), clockwise on the screen. mirror: (468,). canonical: (468,3) the mean face.

    The mean face's outer eye corners are 1 apart.
    """

    triangles: np.ndarray
    mirror: np.ndarray
    canonical: np.ndarray
    regions: dict[str, np.ndarray]

    @cached_property
    def corners(self) -> np.ndarray:
        """(3,T) the triangles transposed: their first, second and third points."""
        return np.ascontiguousarray(self.triangles.T, np.int64)

    @property
    def oval(self) -> np.ndarray:
        """(36,) the points of the outline, in order."""
        return self.regions["oval"]

    @property
    def eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """The rings along the edges of the eyelids, right eye first."""
        return self.regions["right_eye"], self.regions["left_eye"]

    @property
    def brows(self) -> tuple[np.ndarray, np.ndarray]:
        """The rings around the eyebrows, right one first."""
        return self.regions["right_brow"], self.regions["left_brow"]


@lru_cache(maxsize=1)
def topology() -> Topology:
    """Return the topology, read once from the package."""
    data = json.loads(files("reliableswap.geometry").joinpath("topology.json").read_text("utf-8"))
    return Topology(
        triangles=np.array(data["triangles"], np.int32),
        mirror=np.array(data["mirror"], np.int64),
        canonical=np.array(data["canonical"], np.float32),
        regions={name: np.array(ring, np.int64) for name, ring in data["regions"].items()},
    )


def checked_mesh(mesh: np.ndarray, owner: str) -> np.ndarray:
    """(468,3) float32 the mesh; raise an error that names its owner if it is unusable."""
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
    """(H,W,3) uint8 the picture; raise an error that names its owner if it has another layout."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ReliableSwapError(
            f"the {owner} picture is {picture.dtype} of shape {picture.shape}; pass RGB uint8 of shape (H, W, 3)"
        )
    return picture
