"""The face types that all subpackages share: a detection, and a face with its mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

# MediaPipe's 468-point topology; left and right are the person's own: an upright right eye is on the picture's left.
RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 33, 133, 362, 263
# The mesh points whose means are eye, eye, nose, mouth corner, mouth corner.
_FIVE = ((RIGHT_EYE_OUTER, RIGHT_EYE_INNER), (LEFT_EYE_INNER, LEFT_EYE_OUTER), (4,), (61,), (291,))

MIN_PRESENCE = 0.35  # below this probability, MeshNet doubts that a crop holds a face

Detected = TypeVar("Detected", bound="Detection")


@dataclass(frozen=True, eq=False)
class Detection:
    """A detected face. Coordinates are photo pixels, with pixel centres at whole numbers.

    box: (4,) x0 y0 x1 y1. points5: (5,2) eye, eye, nose, mouth corner, mouth corner, in ArcFace's order: in an
    upright face, the picture's left one comes first. score: the detector's confidence in 0..1.
    """

    box: np.ndarray
    points5: np.ndarray
    score: float

    @property
    def size(self) -> float:
        """The box's longer side in pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def roll(self) -> float:
        """In-plane rotation in degrees, from the eyes: 0 for an upright face, positive clockwise."""
        dx, dy = self.points5[1] - self.points5[0]
        return float(np.degrees(np.arctan2(dy, dx)))

    def shifted(self: Detected, dx: float, dy: float) -> Detected:
        """Return the same face in a picture whose origin lies at (-dx, -dy)."""
        step = np.array([dx, dy], np.float32)
        return replace(self, box=self.box + np.tile(step, 2), points5=self.points5 + step)

    def scaled(self: Detected, factor: float) -> Detected:
        """Return the same face in a picture enlarged by the factor."""
        return replace(self, box=_scaled(self.box, factor), points5=_scaled(self.points5, factor))


@dataclass(frozen=True, eq=False)
class Face(Detection):
    """A detected face with its mesh.

    mesh: (468,3) x y z in photo pixels. presence: MeshNet's probability that its crop holds a face; None if another
    network made the mesh.
    """

    mesh: np.ndarray
    presence: float | None = None

    @classmethod
    def from_mesh(cls, mesh: np.ndarray, score: float = 1.0, presence: float | None = None) -> Face:
        """Return a face for a mesh (468,3); its box is the mesh's bounding box."""
        box = np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])
        return cls(box, five_points(mesh), score, mesh, presence)

    @property
    def confirmed(self) -> bool:
        """False if MeshNet doubts that this is a face."""
        return self.presence is None or self.presence >= MIN_PRESENCE

    def shifted(self, dx: float, dy: float) -> Face:
        return replace(super().shifted(dx, dy), mesh=self.mesh + np.array([dx, dy, 0], np.float32))

    def scaled(self, factor: float) -> Face:
        mesh = np.column_stack([_scaled(self.mesh[:, :2], factor), np.float32(factor) * self.mesh[:, 2]])
        return replace(super().scaled(factor), mesh=mesh)


def five_points(mesh: np.ndarray) -> np.ndarray:
    """(5,2) eye, eye, nose, mouth corner, mouth corner of a mesh (468,3); an eye is the midpoint of its corners."""
    return np.stack([mesh[list(group), :2].mean(0) for group in _FIVE])


def eye_distance(mesh: np.ndarray) -> float:
    """Distance between the outer eye corners in three dimensions, so that turning the head does not change it."""
    return float(np.linalg.norm(mesh[RIGHT_EYE_OUTER] - mesh[LEFT_EYE_OUTER]))


def _scaled(points: np.ndarray, factor: float) -> np.ndarray:
    """Scale pixel coordinates, whose pixel centres are whole numbers."""
    return np.asarray((points + 0.5) * factor - 0.5, np.float32)
