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

_POINTS = 468
# The points that the network "with attention" refines, from enlarged parts of the crop, in the order of its outputs.
# Its refined brows are not used: the source's brows would take the target's shape, and their shape is likeness.
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
    76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408,
    62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407,
)  # fmt: skip
RIGHT_LIDS = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
LEFT_LIDS = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
_EYE_LENGTH = 2 * 71  # values of the output that begins with an eye's lids


class FaceMesh:
    """The FaceMesh network, (1,192,192,3) RGB in [0,1] -> 468 points in pixels of that crop, on one thread.

    The network with attention works too: its refined lips and lids replace those of the mesh.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError(
                "FaceMesh needs onnxruntime; run: pip install -e '.[train]' in the repository"
            ) from error
        if not path.is_file():
            raise WeightsError(f"no FaceMesh file at {path}; pass the path of an ONNX file")
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
        (wanted, *_), outputs = self.session.get_inputs(), self.session.get_outputs()
        self.input, self.size = wanted.name, wanted.shape[1]
        lengths = [int(np.prod(one.shape[1:])) for one in outputs]
        if list(wanted.shape[2:]) != [self.size, 3] or lengths.count(3 * _POINTS) != 1:
            shapes = ", ".join(str(one.shape) for one in outputs)
            raise WeightsError(
                f"{path} maps {wanted.shape} to {shapes}; FaceMesh maps (1, 192, 192, 3) to 468 x 3 values"
            )
        self._mesh = lengths.index(3 * _POINTS)
        eyes = [n for n, length in enumerate(lengths) if length == _EYE_LENGTH]
        lips = [n for n, length in enumerate(lengths) if length == 2 * len(LIPS)]
        self._refined = dict(zip([*eyes, *lips], (RIGHT_LIDS, LEFT_LIDS, LIPS), strict=True)) if lips else {}

    def __call__(self, image: np.ndarray, points5: np.ndarray) -> np.ndarray:
        """(468,3) in photo pixels: the mean of the mesh in a crop by the points and the mesh in a crop by that mesh."""
        first = self._mesh_of_crop(image, points5)
        return (first + self._mesh_of_crop(image, five_points(first))) / 2

    def _mesh_of_crop(self, image: np.ndarray, points5: np.ndarray) -> np.ndarray:
        matrix = upright(points5, self.size)
        pixels = crop(image, matrix, self.size, cv2.BORDER_CONSTANT).astype(np.float32) / 255
        answers = self.session.run(None, {self.input: pixels[None]})
        mesh = answers[self._mesh].reshape(_POINTS, 3)
        for output, points in self._refined.items():
            mesh[list(points), :2] = answers[output].reshape(-1, 2)[: len(points)]
        return apply(inverse(matrix), mesh)


class WithFaceMesh:
    """Wraps another analyser and replaces the meshes of its faces by FaceMesh's; boxes and points stay."""

    def __init__(self, analyser: FaceAnalyser, mesh: FaceMesh) -> None:
        self.analyser, self.mesh = analyser, mesh
        self.name = f"{analyser.name}, meshes by FaceMesh"

    def __call__(self, image: np.ndarray) -> list[Face]:
        return [replace(face, mesh=self.mesh(image, face.points5)) for face in self.analyser(image)]
