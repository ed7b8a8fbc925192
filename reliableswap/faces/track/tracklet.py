"""A tracklet: one face followed over frames as long as it is certainly the same face."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .packed import PackedMeshes

MAX_VIEWS = 5


@dataclass(frozen=True, eq=False)
class View:
    """A good view of a face: its identity vector (D,) of length 1, and its aligned crop (112,112,3) uint8.

    vector: None without an identity network. crop: None except for the best view of a tracklet.
    """

    frame: int
    quality: float
    vector: np.ndarray | None
    crop: np.ndarray | None
    box: np.ndarray


@dataclass(eq=False)
class Tracklet:
    """A face in the frames where it was seen, in ascending order.

    score: the best of the detections that confirmed it. searched: its score in every search, 0 where it was missed.
    """

    number: int
    shot: int
    score: float = 0.0
    searched: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    meshes: PackedMeshes = field(default_factory=PackedMeshes)
    presence: list[float] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def add(self, frame: int, mesh: np.ndarray, presence: float) -> None:
        """Add the face in a later frame: mesh (468,3)."""
        self.frames.append(frame)
        self.meshes.append(mesh)
        self.presence.append(presence)

    def wants(self, quality: float) -> bool:
        """Whether a view of this quality is among the best so far."""
        return len(self.views) < MAX_VIEWS or quality > 1.05 * min(one.quality for one in self.views)

    def keep(self, view: View) -> None:
        """Keep the view if it is among the best."""
        best, *others = sorted([*self.views, view], key=lambda one: -one.quality)[:MAX_VIEWS]
        self.views = [best, *(replace(one, crop=None) for one in others)]

    @property
    def vector(self) -> np.ndarray | None:
        """(D,) the mean of the views' vectors, weighted by quality and of length 1."""
        seen = [(one.quality, one.vector) for one in self.views if one.vector is not None]
        if not seen:
            return None
        mean = sum(quality * vector for quality, vector in seen)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def box_of(mesh: np.ndarray) -> np.ndarray:
    """(4,) x0 y0 x1 y1: the bounding box of a mesh (468,3)."""
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])
