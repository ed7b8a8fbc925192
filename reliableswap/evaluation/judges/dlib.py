"""dlib's face recognition network as a judge of identity."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reliableswap.errors import WeightsError
from reliableswap.faces.face import Detection

from .base import unit

_MIN_REACH = 120  # pixels from a face's centre to its box; dlib's boxes have whole-pixel corners


class DlibJudge:
    """dlib's ResNet (CC0), trained independently of the ArcFace family, with its own alignment."""

    name = "dlib"

    def __init__(self) -> None:
        models = importlib.util.find_spec("face_recognition_models")
        has_dlib = importlib.util.find_spec("dlib") is not None
        if models is None or not models.submodule_search_locations or not has_dlib:
            raise WeightsError("the dlib judge is not installed; run: pip install 'reliableswap[judge]'")
        dlib = importlib.import_module("dlib")
        folder = Path(models.submodule_search_locations[0]) / "models"
        self.box: Any = dlib.rectangle
        self.points = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        weights = folder / "dlib_face_recognition_resnet_model_v1.dat"
        self.network = dlib.face_recognition_model_v1(str(weights))

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        # dlib's landmarks were trained on boxes from brows to chin, about 2.2 eye-to-mouth distances wide.
        eyes, mouth = face.points5[:2].mean(0), face.points5[3:].mean(0)
        reach = 1.1 * float(np.linalg.norm(mouth - eyes))
        x, y = (eyes + mouth) / 2
        scale = max(1.0, _MIN_REACH / reach)
        if scale > 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        corners = [round(float(v) * scale) for v in (x - reach, y - reach, x + reach, y + reach)]
        shape = self.points(image, self.box(*corners))
        return unit(np.array(self.network.compute_face_descriptor(image, shape)))
