"""Classify a patch of a face: whether it shows glasses, and whether it shows a mouth. Logistic regressions on edges.

`python -m tools.blend_data` (tools/look_classifiers.py) trains both on FFHQ thumbnails, 3,639 at 128 and 405 at
384 pixels, each also mirrored, ridge 10, with a tenth of the people held out. The figures are of those 414 pictures.

- Glasses: the published attributes, glasses and sunglasses against none. 98 % correct (92 % of glasses found, no false
  alarms).
- Mouth: mouths against the same mouths with fingers, a microphone or another part of the photo drawn over them, because
  the labels name only eight covered ones. Of the mouths, 95 % score above -1 and 97 % above -2; of the drawn covers,
  86 % score below -1 and 74 % below -2. The eight labelled ones were kept out of training: three score below -1, those
  (of two people) with a hand or food in front of the mouth. The other five are beards and lips.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import cv2
import numpy as np

from reliableswap.geometry.topology import topology

from .align import apply, similarity

PATCH = (64, 32)  # width and height in pixels
CELLS = (16, 8)


@dataclass(frozen=True)
class PatchClassifier:
    """A classifier of a patch of the canonical face, placed in eye distances and aligned by some points of the mesh."""

    name: str
    points: tuple[int, ...]
    left: float
    top: float
    width: float

    def score(self, picture: np.ndarray, mesh: np.ndarray) -> float:
        """Return the log odds that the face in a picture (H,W,3) has this look."""
        weights, bias = _model(self.name)
        return float(weights @ features(self.patch(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), mesh))) + bias

    def patch(self, picture: np.ndarray, mesh: np.ndarray, canonical: np.ndarray | None = None) -> np.ndarray:
        """(32,64) or (32,64,3) uint8 the patch of a picture (H,W) or (H,W,3), aligned to the canonical face (468,3)."""
        canonical = topology().canonical if canonical is None else canonical
        points = mesh[list(self.points), :2]
        place = canonical[list(self.points), :2] - (self.left, self.top)
        place = place * (PATCH[0] / self.width) - 0.5
        matrix = similarity(points, place)
        scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
        if scale < 1 / 1.5:
            smaller = np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5]])
            size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            matrix = similarity(apply(smaller, points), place)
        return cv2.warpAffine(picture, matrix, PATCH, borderMode=cv2.BORDER_REPLICATE)


GLASSES = PatchClassifier("glasses", (33, 133, 362, 263, 168, 6, 197, 70, 300, 117, 346), -0.72, -0.28, 1.44)
MOUTH = PatchClassifier("mouth", (61, 291, 2, 164, 0, 17, 18, 200, 6, 199), -0.5, 0.52, 1.0)


@lru_cache(maxsize=4)
def _model(name: str) -> tuple[np.ndarray, float]:
    data = json.loads(files("reliableswap.faces").joinpath("looks.json").read_text("utf-8"))[name]
    return np.frombuffer(base64.b64decode(data["weights"]), "<f2").astype(np.float32), float(data["bias"])


def features(patch: np.ndarray) -> np.ndarray:
    """(896,) edges of both signs and both diagonals, and brightness, averaged over 4x4 pixels of a patch (32,64)."""
    mean, deviation = cv2.meanStdDev(patch)
    # Normalise brightness and contrast.
    even = (patch.astype(np.float32) - np.float32(mean[0, 0])) / np.float32(deviation[0, 0] + 5)
    gx = cv2.Sobel(even, cv2.CV_32F, 1, 0, ksize=3, scale=0.25)
    gy = cv2.Sobel(even, cv2.CV_32F, 0, 1, ksize=3, scale=0.25)
    straight = [np.maximum(gx, 0), np.maximum(-gx, 0), np.maximum(gy, 0), np.maximum(-gy, 0)]
    diagonal = [np.abs(gx + gy) * 0.7, np.abs(gx - gy) * 0.7]
    cells = [
        cv2.resize(channel, CELLS, interpolation=cv2.INTER_AREA) for channel in (*straight, *diagonal, even)
    ]
    edges = np.sqrt(np.maximum(np.dstack(cells[:-1]), 0))
    return np.concatenate([edges.ravel(), cells[-1].ravel()])
