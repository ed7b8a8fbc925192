"""The teachers of the face networks: YuNet and MediaPipe's FaceMesh, both Apache-2.0, as ONNX files of the user's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.analysers.facemesh import FaceMesh

DETECTOR_FILE = "yunet_n_dynamic.onnx"
# The first file that exists makes the meshes. The network with attention tells closed lips and lids from open ones.
MESH_FILES = ("facemesh_attention_fp16.onnx", "facemesh_468.onnx")
_MIN_SCORE = 0.3


class Teachers:
    """Both teachers, with one thread each."""

    def __init__(self, folder: Path) -> None:
        for names in ((DETECTOR_FILE,), MESH_FILES):
            if not any((folder / name).is_file() for name in names):
                raise ReliableSwapError(
                    f"no teacher {' or '.join(names)} in {folder}; pass --teachers with the folder that holds it"
                )
        self.detector = cv2.FaceDetectorYN.create(str(folder / DETECTOR_FILE), "", (320, 320), _MIN_SCORE)
        self.mesh = FaceMesh(teacher_files(folder)[-1])

    def detect(self, image: np.ndarray) -> np.ndarray:
        """(H,W,3) RGB -> (N,15) box x0 y0 x1 y1, five points and score of each face, best score first."""
        height, width = image.shape[:2]
        self.detector.setInputSize((width, height))
        found = self.detector.detect(np.ascontiguousarray(image[..., ::-1]))[1]
        if found is None:
            return np.zeros((0, 15), np.float32)
        found = found[np.argsort(-found[:, 14])].astype(np.float32)
        found[:, 2:4] += found[:, :2]
        return found


def teacher_files(folder: Path) -> list[Path]:
    """Return the teachers' files that exist: the detector's, then the one that makes the meshes."""
    meshes = [path for name in MESH_FILES if (path := folder / name).is_file()]
    return [*(path for path in (folder / DETECTOR_FILE,) if path.is_file()), *meshes[:1]]
