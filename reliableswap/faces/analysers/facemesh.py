"""MediaPipe's FaceMesh from an ONNX file of the caller's: what our mesh learnt from, and another pair of eyes."""

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
    """(1,N,N,3) RGB in 0..1 -> 468 points in pixels of that crop; on one thread."""

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
                f"{path} is no ONNX network ({type(error).__name__}); give another file"
            ) from error
        (wanted, *_), (given, *_) = self.session.get_inputs(), self.session.get_outputs()
        self.input, self.size = wanted.name, wanted.shape[1]
        if list(wanted.shape[2:]) != [self.size, 3] or np.prod(given.shape[1:]) != 468 * 3:
            raise WeightsError(f"{path} takes {wanted.shape} and gives {given.shape}; FaceMesh takes 192 px")

    def __call__(self, image: np.ndarray, points5: np.ndarray) -> np.ndarray:
        """(468,3) the mesh in photo pixels: the mean of a crop by the points and a crop by that crop's own mesh."""
        first = self._once(image, points5)
        return (first + self._once(image, five_points(first))) / 2

    def _once(self, image: np.ndarray, points5: np.ndarray) -> np.ndarray:
        matrix = upright(points5, self.size)
        pixels = crop(image, matrix, self.size, cv2.BORDER_CONSTANT).astype(np.float32) / 255
        (raw,) = self.session.run(None, {self.input: pixels[None]})
        return apply(inverse(matrix), raw.reshape(468, 3))


class WithFaceMesh:
    """An analyser whose meshes are FaceMesh's; boxes and points stay its own."""

    def __init__(self, analyser: FaceAnalyser, mesh: FaceMesh) -> None:
        self.analyser, self.mesh = analyser, mesh
        self.name = f"{analyser.name}, meshes by FaceMesh"

    def __call__(self, image: np.ndarray) -> list[Face]:
        return [replace(face, mesh=self.mesh(image, face.points5)) for face in self.analyser(image)]
