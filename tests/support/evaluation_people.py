"""Helpers for tests of the evaluation: meshes, an untrained judge, an examiner."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from reliableswap.evaluation.examine import Examiner
from reliableswap.evaluation.judges.encoders import EncoderJudge, FixerJudge
from reliableswap.evaluation.metrics.features import Features
from reliableswap.faces.analysers.bundled import BundledAnalyser
from reliableswap.faces.face import Detection
from reliableswap.models.fixer import FixerNet
from reliableswap.models.identity import IdentityEncoder
from support.people import person

MESHES = json.loads((Path(__file__).parents[1] / "data" / "meshes.json").read_text())
NAMES = [name for name in MESHES if name != "about"]


def mesh_of(name: str = "P001_studio_portrait") -> np.ndarray:
    return np.array(MESHES[name], np.float32)


def turned(mesh: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """The mesh rotated about the x, y or z axis through its centre."""
    i, j = [(1, 2), (0, 2), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = math.cos(math.radians(degrees))
    matrix[i, j], matrix[j, i] = math.sin(math.radians(degrees)), -math.sin(math.radians(degrees))
    middle = mesh.mean(0)
    return ((mesh - middle) @ matrix + middle).astype(np.float32)


@lru_cache(maxsize=1)
def analyser() -> BundledAnalyser:
    return BundledAnalyser()


@lru_cache(maxsize=8)
def encoder(seed: int = 0) -> IdentityEncoder:
    """An untrained encoder with batch-norm statistics of faces; otherwise all faces would look alike to it."""
    torch.manual_seed(seed)
    network = IdentityEncoder(embedding_size=32).train()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # use the mean of all batches
    crops = [
        cv2.resize(cv2.imread(str(person(n, kind)), cv2.IMREAD_REDUCED_COLOR_8)[..., ::-1], (112, 112))
        for n in range(6, 11)
        for kind in ("studio_portrait", "amateur_selfie")
    ]
    with torch.no_grad():
        network(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1)
    return network.eval()


def examiner(features: Features | None = None, lower: bool = False) -> Examiner:
    torch.manual_seed(7)
    fixer = FixerJudge(FixerNet(embedding_size=16), "chin") if lower else None
    return Examiner(analyser(), EncoderJudge(encoder(), "untrained"), fixer, features)


class Colours:
    """Features for tests: the mean of each colour channel in a face's box."""

    name = "colours"

    def __call__(self, image: np.ndarray, face: Detection) -> np.ndarray:
        x0, y0, x1, y1 = np.clip(face.box, 0, None).astype(int)
        return np.asarray(image[y0:y1, x0:x1].mean((0, 1)), np.float64)
