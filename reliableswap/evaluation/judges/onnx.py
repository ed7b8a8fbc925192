"""A judge of identity from an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reliableswap.errors import WeightsError
from reliableswap.faces.align import IDENTITY_WINDOW, align
from reliableswap.faces.face import Detection

from .base import unit


class OnnxJudge:
    """An ONNX encoder (1,3,112,112) RGB -> (1,D); mean and std apply to pixels in [0,1]."""

    def __init__(self, path: Path, mean: Sequence[float] = (0.5,), std: Sequence[float] = (0.5,)) -> None:
        self.name, self.session = path.stem, open_onnx(path)
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        shape = list(self.session.get_inputs()[0].shape)
        if len(shape) != 4 or shape[1] != 3 or any(isinstance(n, int) and n != 112 for n in shape[2:]):
            raise WeightsError(
                f"{path} takes an input of shape {shape}; give an encoder that takes (batch, 3, 112, 112)"
            )

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        pixels = (crop[IDENTITY_WINDOW].astype(np.float32) / 255 - self.mean) / self.std
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
        return unit(self.session.run(None, {self.session.get_inputs()[0].name: batch})[0])


def open_onnx(path: Path) -> Any:
    """Open the file as an onnxruntime session on the CPU."""
    try:
        import onnxruntime
    except ImportError as error:
        raise WeightsError(f"{path} needs onnxruntime; run: pip install 'reliableswap[judge]'") from error
    if not path.is_file():
        raise WeightsError(f"there is no file {path}; give the path of an ONNX file")
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        message = f"{path} is not an ONNX network ({type(error).__name__}); give another file"
        raise WeightsError(message) from error
