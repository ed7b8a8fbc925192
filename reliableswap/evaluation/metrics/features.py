"""Image features for the Fréchet distance; a report always names them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol

import cv2
import numpy as np
import torch

from reliableswap.errors import WeightsError
from reliableswap.evaluation.judges.onnx import open_onnx
from reliableswap.faces.align import align
from reliableswap.faces.align_torch import to_tensor
from reliableswap.faces.face import Detection


class Features(Protocol):
    """A face in a photo (H,W,3) uint8 -> (D,) features."""

    name: str

    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray: ...


class EfficientNetFeatures:
    """The last feature map of an ImageNet EfficientNet-Lite, averaged over the aligned face at 128 px.

    Our losses may use Lite0; none uses Lite1 or Lite2.
    """

    NAMES: ClassVar = {f"efficientnet-lite{variant}": variant for variant in (0, 1, 2)}

    def __init__(self, name: str) -> None:
        from reliableswap.convert.perceptual import pretrained_perceptual_features

        self.name, self.network = name, pretrained_perceptual_features(self.NAMES[name])

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        return np.asarray(self.network(to_tensor(crop))[-1].mean((0, 2, 3)).double().numpy())


class OnnxFeatures:
    """An ONNX network (1,3,299,299) RGB in [-1,1] -> (1,D); the pooled features of Inception v3 give FID."""

    def __init__(self, path: Path, size: int = 299) -> None:
        self.name, self.size = path.stem, size
        self.session = open_onnx(path)

    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 256)
        resized = cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        name = self.session.get_inputs()[0].name
        answer = self.session.run(None, {name: to_tensor(resized).numpy()})[0]
        return np.asarray(answer, np.float64).reshape(-1)


def open_features(name: str) -> Features:
    """Load `efficientnet-lite0`, -lite1, -lite2, or an ONNX file."""
    if name in EfficientNetFeatures.NAMES:
        return EfficientNetFeatures(name)
    path = Path(name)
    if path.suffix != ".onnx":
        known = ", ".join(EfficientNetFeatures.NAMES)
        raise WeightsError(f"unknown features {name!r}; give {known} or the path of an ONNX file")
    return OnnxFeatures(path)


def distance_name(features: str) -> str:
    """Name the Fréchet distance over these features: FID for Inception only, as its authors define it."""
    return "FID" if features.lower().startswith("inception") else f"Fréchet distance ({features})"
