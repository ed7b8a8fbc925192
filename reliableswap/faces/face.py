"""One face as every room knows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# MediaPipe's 468-point topology; left and right are the viewer's.
RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 33, 133, 362, 263


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo. All coordinates are photo pixels, with pixel centres at whole numbers.

    box: (4,) x0 y0 x1 y1; points5: (5,2) eye, eye, nose, mouth corner, mouth corner, the left one in the
    picture of an upright face first (ArcFace's order); mesh: (468,3) x y z, or None before the mesh has run.
    """

    box: np.ndarray
    points5: np.ndarray
    score: float
    mesh: np.ndarray | None = None
    presence: float | None = None  # MeshNet's belief that its crop holds a face

    @property
    def size(self) -> float:
        """The box's longer side in pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def roll(self) -> float:
        """In-plane rotation in degrees, from the eyes; 0 for an upright face, positive clockwise."""
        dx, dy = self.points5[1] - self.points5[0]
        return float(np.degrees(np.arctan2(dy, dx)))

    def shifted(self, dx: float, dy: float) -> Face:
        """The same face in a picture whose origin lies at (-dx, -dy)."""
        step = np.array([dx, dy], np.float32)
        mesh = None if self.mesh is None else self.mesh + np.array([dx, dy, 0], np.float32)
        return replace(self, box=self.box + np.tile(step, 2), points5=self.points5 + step, mesh=mesh)

    def scaled(self, factor: float) -> Face:
        """The same face in a picture that many times as large."""

        def moved(points: np.ndarray) -> np.ndarray:
            return np.asarray((points + 0.5) * factor - 0.5, np.float32)

        mesh = self.mesh
        if mesh is not None:
            mesh = np.column_stack([moved(mesh[:, :2]), np.float32(factor) * mesh[:, 2]])
        return replace(self, box=moved(self.box), points5=moved(self.points5), mesh=mesh)


def eye_distance(mesh: np.ndarray) -> float:
    """Distance of the outer eye corners in three dimensions, so that a profile does not shrink it."""
    return float(np.linalg.norm(mesh[RIGHT_EYE_OUTER] - mesh[LEFT_EYE_OUTER]))
