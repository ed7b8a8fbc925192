"""FaceAnalyser: whoever can say where the faces of a photo are. Two backends, one shape of answer."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from reliableswap.bundled import bundled
from reliableswap.errors import WeightsError
from reliableswap.faces.detect import SearchSettings, add_meshes, find_faces
from reliableswap.faces.face import Detection, Face, five_points
from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet
from reliableswap.runtime.torch import compiled


@runtime_checkable
class FaceAnalyser(Protocol):
    """Finds the faces of an RGB photo (H,W,3) uint8, largest first, each with box, points and mesh."""

    name: str

    def __call__(self, image: np.ndarray) -> list[Face]: ...


class BundledAnalyser:
    """Our own detector and mesh: the default, offline, small."""

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

    def ready(self) -> tuple[FaceDetector, MeshNet]:
        """Both networks with their norms folded, as their weights, dtype and device are now."""
        return compiled(self.detector), compiled(self.landmarks)

    def __call__(self, image: np.ndarray) -> list[Face]:
        detector, landmarks = self.ready()
        faces = add_meshes(landmarks, image, find_faces(detector, image, self.settings), passes=2)
        # The mesh knows better than the detector where eyes and mouth are, so alignment goes by it.
        return [replace(face, points5=five_points(face.mesh)) for face in faces if face.confirmed]


class InsightFaceAnalyser:
    """InsightFace's detector, from a folder of its ONNX files or a named pack; the mesh is still ours.

    Its published models are for non-commercial research only, which is said once on stderr.
    """

    name = "insightface"
    _said = False

    def __init__(
        self,
        pack: str | Path = "buffalo_l",
        *,
        root: str | Path = "~/.insightface",
        landmarks: MeshNet | None = None,
        settings: SearchSettings | None = None,
        providers: list[str] | None = None,
    ) -> None:
        try:
            from insightface.app import FaceAnalysis
        except ImportError as error:
            raise WeightsError(
                "the insightface backend needs its extra; run: pip install -e '.[insightface]' in the repository"
            ) from error
        folder = Path(pack).expanduser()
        if not folder.is_dir():
            folder = Path(root).expanduser() / "models" / str(pack)
        self._say_licence()
        self.settings = settings or SearchSettings()
        self.landmarks = landmarks or MeshNet.from_pretrained(bundled("landmarks"))
        self.analysis = self._load(
            FaceAnalysis, folder, str(pack), root, providers or ["CPUExecutionProvider"]
        )
        self.analysis.prepare(ctx_id=-1, det_thresh=self.settings.score, det_size=(640, 640))

    @staticmethod
    def _load(make: Any, folder: Path, pack: str, root: str | Path, providers: list[str]) -> Any:
        wanted = ["detection"]
        if folder.is_dir():
            if not any(folder.glob("*.onnx")):
                raise WeightsError(f"no .onnx file in {folder}; put an insightface detection model there")
            try:
                return make(name=str(folder), allowed_modules=wanted, providers=providers)
            except AssertionError:
                raise WeightsError(f"no detection model among the .onnx files of {folder}") from None
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
            raise WeightsError(
                f"no insightface pack in {folder}, and HF_HUB_OFFLINE forbids a download; copy the pack there "
                "or use the bundled analyser"
            )
        try:
            return make(name=pack, root=str(root), allowed_modules=wanted, providers=providers)
        except Exception as error:
            raise WeightsError(
                f"no insightface pack in {folder}, and downloading {pack!r} failed ({type(error).__name__}); copy "
                "the pack there or use the bundled analyser"
            ) from error

    @classmethod
    def _say_licence(cls) -> None:
        if not cls._said:
            print("note: insightface's models are for non-commercial research only", file=sys.stderr)
            cls._said = True

    def __call__(self, image: np.ndarray) -> list[Face]:
        found = self.analysis.get(np.ascontiguousarray(image[..., ::-1]))
        detections = [
            Detection(np.asarray(one.bbox, np.float32), np.asarray(one.kps, np.float32), float(one.det_score))
            for one in found
            if one.kps is not None
        ]
        faces = add_meshes(self.landmarks, image, detections)
        faces = [face for face in faces if face.size >= self.settings.min_size]
        return sorted(faces, key=lambda face: -face.size)[: self.settings.max_faces]
