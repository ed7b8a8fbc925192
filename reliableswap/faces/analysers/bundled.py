"""The default analyser: the bundled detector and MeshNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reliableswap.bundled import bundled
from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces, find_large_face
from reliableswap.faces.face import Detection, Face, five_points
from reliableswap.runtime.arrays import ArrayDetector, ArrayNetwork, as_array_network

if TYPE_CHECKING:
    from reliableswap.models.detector import FaceDetector
    from reliableswap.models.landmarks import MeshNet

_SURE_PRESENCE = 0.95  # letters and buttons have less, faces 0.98
# Where eyes, nose and mouth corners of upright faces lie on average, as fractions of the detector's box.
_USUAL_POINTS = np.array([[0.28, 0.39], [0.72, 0.39], [0.5, 0.57], [0.3, 0.75], [0.7, 0.75]])


class BundledAnalyser:
    """Finds faces with a FaceDetector and their meshes with a MeshNet; the bundled ones unless others are given.

    PyTorch networks run as compiled copies, remade when their weights change. Other networks are called directly.
    """

    name = "bundled"

    def __init__(
        self,
        detector: FaceDetector | ArrayDetector | None = None,
        landmarks: MeshNet | ArrayNetwork | None = None,
        settings: SearchSettings | None = None,
    ) -> None:
        self.detector: Any = bundled_network("detector") if detector is None else detector
        self.landmarks: Any = bundled_network("landmarks") if landmarks is None else landmarks
        self.settings = settings or SearchSettings()

    def __call__(self, image: np.ndarray) -> list[Face]:
        faces = self._with_meshes(image, find_faces(as_array_network(self.detector), image, self.settings))
        return _certain(faces, self.settings.sure)

    def largest(self, image: np.ndarray) -> Face | None:
        """Return the largest face in an RGB photo, faster than finding all faces.

        The search ends when the detector is sure of a large face in a small copy of the photo. Score and points then
        come from that copy alone, so the mesh differs slightly from the one that `__call__` returns.
        """
        large = find_large_face(as_array_network(self.detector), image, self.settings)
        for face in self._with_meshes(image, [large] if large else []):
            return face
        return next(iter(self(image)), None)

    def _with_meshes(self, image: np.ndarray, detections: Sequence[Detection]) -> list[Face]:
        """Return the detections that the mesh network confirms, with their meshes."""
        # The detector's points are rough, so run the mesh network twice: the first mesh places the second crop.
        landmarks = as_array_network(self.landmarks)
        faces = add_meshes(landmarks, image, detections, passes=2)
        if not any(_present(face) for face in faces):
            # On wrinkled or dark faces the points may be wrong while the box is right: place eyes and mouth by the box.
            again = add_meshes(landmarks, image, [_with_usual_points(face) for face in detections], passes=2)
            faces = [new if _present(new) else old for old, new in zip(faces, again, strict=True)]
        return [replace(face, points5=five_points(face.mesh)) for face in faces if face.confirmed]


def _certain(faces: list[Face], sure: float) -> list[Face]:
    """Drop the faces that neither network is sure of, provided the detector is sure of at least one face."""
    if not any(face.score >= sure for face in faces):
        return faces
    return [face for face in faces if face.score >= sure or _present(face)]


def _present(face: Face) -> bool:
    """Whether the mesh network is sure of a face."""
    return face.presence is None or face.presence >= _SURE_PRESENCE


def _with_usual_points(face: Detection) -> Detection:
    """Replace the detection's points by their average places in a face box, rotated by the detection's roll."""
    low, high = face.box[:2], face.box[2:]
    turn = np.radians(face.roll)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (low + high) / 2 + (_USUAL_POINTS - 0.5) * (high - low) @ matrix
    return replace(face, points5=points.astype(np.float32))


def bundled_network(name: str) -> Any:
    """Load a network that ships with the package, by the name of its folder."""
    from reliableswap.models import load_network

    return load_network(bundled(name))
