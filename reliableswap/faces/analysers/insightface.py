"""An analyser with InsightFace's detector and MeshNet's meshes."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reliableswap.errors import WeightsError
from reliableswap.faces.detect import SearchSettings, add_meshes
from reliableswap.faces.face import Detection, Face
from reliableswap.runtime.arrays import ArrayNetwork, as_array_network

from .bundled import bundled_network

if TYPE_CHECKING:
    from reliableswap.models.landmarks import MeshNet

logger = logging.getLogger(__name__)

_PROVIDERS = ("CPUExecutionProvider",)


class InsightFaceAnalyser:
    """InsightFace's detector, from a folder of ONNX files or a named model pack.

    Logs a warning about the licence: InsightFace's published models are for non-commercial research only.
    """

    name = "insightface"

    def __init__(
        self,
        pack: str | Path = "buffalo_l",
        *,
        root: str | Path = "~/.insightface",
        landmarks: MeshNet | ArrayNetwork | None = None,
        settings: SearchSettings | None = None,
        providers: Sequence[str] = _PROVIDERS,
    ) -> None:
        folder = Path(pack).expanduser()
        if not folder.is_dir():
            folder = Path(root).expanduser() / "models" / str(pack)
        self.settings = settings or SearchSettings()
        self.landmarks: Any = bundled_network("landmarks") if landmarks is None else landmarks
        self.analysis = _load_detection(folder, str(pack), root, providers)
        self.analysis.prepare(ctx_id=-1, det_thresh=self.settings.score, det_size=(640, 640))
        logger.warning("InsightFace's models are for non-commercial research only")

    def __call__(self, image: np.ndarray) -> list[Face]:
        found = self.analysis.get(np.ascontiguousarray(image[..., ::-1]))  # in BGR
        detections = [
            Detection(np.asarray(one.bbox, np.float32), np.asarray(one.kps, np.float32), float(one.det_score))
            for one in found
            if one.kps is not None
        ]
        faces = add_meshes(as_array_network(self.landmarks), image, detections)
        faces = [face for face in faces if face.size >= self.settings.min_size]
        return sorted(faces, key=lambda face: -face.size)[: self.settings.max_faces]


def _load_detection(folder: Path, pack: str, root: str | Path, providers: Sequence[str]) -> Any:
    """Load InsightFace's FaceAnalysis with the detector alone; download the pack to root if the folder is missing."""
    try:
        from insightface.app import FaceAnalysis
    except ImportError as error:
        raise WeightsError(
            "the insightface analyser needs an optional dependency; run: pip install -e '.[insightface]' in the "
            "repository"
        ) from error
    options = {"allowed_modules": ["detection"], "providers": list(providers)}
    if folder.is_dir():
        if not any(folder.glob("*.onnx")):
            raise WeightsError(f"no .onnx file in {folder}; put an insightface detection model there")
        try:
            return FaceAnalysis(name=str(folder), **options)
        except AssertionError:
            raise WeightsError(
                f"no detection model among the .onnx files in {folder}; put an insightface detection model there"
            ) from None
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        raise WeightsError(
            f"no insightface pack in {folder}, and HF_HUB_OFFLINE forbids a download; copy the pack there "
            "or use the bundled analyser"
        )
    try:
        return FaceAnalysis(name=pack, root=str(root), **options)
    except Exception as error:
        raise WeightsError(
            f"no insightface pack in {folder}, and downloading {pack!r} failed ({type(error).__name__}); copy "
            "the pack there or use the bundled analyser"
        ) from error
