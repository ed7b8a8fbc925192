"""Open judges by name, and refuse a judge that is a tested pipeline's own network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError, WeightsError
from reliableswap.faces.face import Detection
from reliableswap.models.fixer import FixerNet
from reliableswap.models.hub import load_network
from reliableswap.models.identity import IdentityEncoder

from .base import Judge
from .dlib import DlibJudge
from .encoders import EncoderJudge, FixerJudge
from .onnx import OnnxJudge

_SAME_COSINE = 0.999  # on every probe picture: two copies of one network, apart from rounding


def open_judge(name: str, mean: Sequence[float] = (0.5,), std: Sequence[float] = (0.5,)) -> Judge:
    """Load `dlib`, an ONNX file, or an IdentityEncoder from a folder or Hub repository."""
    if name == DlibJudge.name:
        return DlibJudge()
    if name.endswith(".onnx"):
        return OnnxJudge(Path(name), mean, std)
    network = load_network(name)
    if not isinstance(network, IdentityEncoder):
        raise WeightsError(
            f"{name} holds a {type(network).__name__}, but a judge must be an IdentityEncoder; give the folder of one"
        )
    return EncoderJudge(network, network.config.name or Path(name).name)


def open_lower_judge(name: str) -> FixerJudge:
    """Load a FixerNet from a folder or Hub repository."""
    network = load_network(name)
    if not isinstance(network, FixerNet):
        raise WeightsError(
            f"{name} holds a {type(network).__name__}, but a lower-face judge must be a FixerNet; "
            "give the folder of one"
        )
    return FixerJudge(network, network.config.name or Path(name).name)


def same_encoder(one: Judge, other: Judge) -> bool:
    """Whether two judges give the same vectors for probe pictures.

    Checksums would miss a copy in another format or precision, such as an encoder's ONNX export.
    """
    rng = np.random.default_rng(0)
    points = np.array([[46, 52], [82, 52], [64, 72], [49, 92], [79, 92]], np.float32)
    face = Detection(np.array([30, 20, 98, 118], np.float32), points, 1.0)
    for _ in range(3):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)
        a, b = one.embed(image, face), other.embed(image, face)
        if a.shape != b.shape or float(a @ b) < _SAME_COSINE:
            return False
    return True


def check_judges(
    judge: Judge | None,
    lower: Judge | None,
    pipelines: Mapping[str, tuple[IdentityEncoder | None, FixerNet | None]],
    allow_same: bool = False,
) -> list[str]:
    """Compare the judges with the pipelines' networks (name -> encoder, fixer); raise if they share one.

    allow_same: do not raise, but return one sentence for each shared network.
    """
    shared = []
    for name, (encoder, fixer) in pipelines.items():
        if judge is not None and encoder is not None and same_encoder(judge, EncoderJudge(encoder)):
            shared.append(f"the judge {judge.name} is the identity encoder of {name}")
        if lower is not None and fixer is not None and same_encoder(lower, FixerJudge(fixer)):
            shared.append(f"the lower-face judge {lower.name} is the FixerNet of {name}")
    if shared and not allow_same:
        raise ReliableSwapError(
            f"{shared[0]}, so its figures would be biased in its favour; give another --judge, or "
            "pass --allow-same-judge"
        )
    return shared
