"""The default analyser: the bundled detector and MeshNet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from reliableswap.bundled import bundled
from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces
from reliableswap.faces.face import Face, five_points
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.torch import compiled

_SURE_PRESENCE = 0.95  # letters and buttons have less, faces 0.98


class BundledAnalyser:
    """Finds faces with a FaceDetector and reads their meshes with a MeshNet; the bundled ones unless others are given.

    Networks that are no `nn.Module`, such as OpenVINO's, are called as they are.
    """

    name = "bundled"

    def __init__(
        self,
        detector: FaceDetector | None = None,
        landmarks: MeshNet | None = None,
        settings: SearchSettings | None = None,
    ) -> None:
        self.detector = detector or FaceDetector.from_pretrained(bundled("detector"))
        self.landmarks = landmarks or MeshNet.from_pretrained(bundled("landmarks"))
        self.settings = settings or SearchSettings()

    def __call__(self, image: np.ndarray) -> list[Face]:
        detections = find_faces(_runnable(self.detector), image, self.settings)
        # The detector's points are rough, so the mesh is read twice: the second crop follows the first mesh.
        faces = add_meshes(_runnable(self.landmarks), image, detections, passes=2)
        faces = [face for face in faces if face.confirmed]
        return [replace(face, points5=five_points(face.mesh)) for face in _certain(faces, self.settings.sure)]


def _certain(faces: list[Face], sure: float) -> list[Face]:
    """The faces without those that neither network is sure of, where there is one of which the detector is."""
    if not any(face.score >= sure for face in faces):
        return faces
    return [
        face
        for face in faces
        if face.score >= sure or face.presence is None or face.presence >= _SURE_PRESENCE
    ]


def _runnable(network: Any) -> Any:
    return compiled(network) if isinstance(network, nn.Module) else network
