"""MediaPipe's FaceMesh from an ONNX file that the caller provides: MeshNet's teacher and an independent mesh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import WeightsError
from reliableswap.faces.align import apply, crop, inverse, upright
from reliableswap.faces.face import Face, five_points

from .base import FaceAnalyser


class FaceMesh:
    """The FaceMesh network, (1,192,192,3) RGB in [0,1] -> 468 points in pixels of that crop, on one thread."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError(
                "FaceMesh needs onnxruntime; run: pip install -e '.[train]' in the repository"
            ) from error
        if not path.is_file():
            raise WeightsError(f"there is no FaceMesh file {path}; pass the path of an ONNX file")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise WeightsError(
                f"{path} is not an ONNX network ({type(error).__name__}); give another file"
            ) from error
        (wanted, *_), (given, *_) = self.session.get_inputs(), self.session.get_outputs()
        self.input, self.size = wanted.name, wanted.shape[1]
        if list(wanted.shape[2:]) != [self.size, 3] or np.prod(given.shape[1:]) != 468 * 3:
            raise WeightsError(
                f"{path} maps {wanted.shape} to {given.shape}; FaceMesh maps (1, 192, 192, 3) to 468 x 3 values"
            )

    def __call__(self, image: np.ndarray, points5: np.ndarray) -> np.ndarray:
        """(468,3) in photo pixels: the mean of a mesh from a crop by the points and one from a crop by that mesh."""
        first = self._mesh_of_crop(image, points5)
        return (first + self._mesh_of_crop(image, five_points(first))) / 2

    def _mesh_of_crop(self, image: np.ndarray, points5: np.ndarray) -> np.ndarray:
        matrix = upright(points5, self.size)
        pixels = crop(image, matrix, self.size, cv2.BORDER_CONSTANT).astype(np.float32) / 255
        (raw,) = self.session.run(None, {self.input: pixels[None]})
        return apply(inverse(matrix), raw.reshape(468, 3))


class WithFaceMesh:
    """Another analyser's faces, with their meshes replaced by FaceMesh's; boxes and points stay."""

    def __init__(self, analyser: FaceAnalyser, mesh: FaceMesh) -> None:
        self.analyser, self.mesh = analyser, mesh
        self.name = f"{analyser.name}, meshes by FaceMesh"

    def __call__(self, image: np.ndarray) -> list[Face]:
        return [replace(face, mesh=self.mesh(image, face.points5)) for face in self.analyser(image)]
