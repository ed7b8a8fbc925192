"""Faces of generated people with stored meshes, so that tests of the blend need no networks."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.topology import topology
from support.people import PEOPLE

MESHES = json.loads((Path(__file__).parents[1] / "data" / "meshes.json").read_text())
WOMAN, OTHER, BEARD = "P001_studio_portrait", "P003_studio_portrait", "P005_studio_portrait"
SMILE, SMILING_MAN = "P004_amateur_selfie", "P007_amateur_selfie"


@lru_cache(maxsize=16)
def face(name: str, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """Crop the photo around the face: (size,size,3) uint8, and its mesh (468,3)."""
    person, photo = name.split("_", 1)
    path = PEOPLE / person / "assets" / f"{photo}.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]
    mesh = np.array(MESHES[name], np.float32) / 2 - (0.25, 0.25, 0)
    middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    k = size / (2.0 * np.ptp(mesh[:, :2], axis=0).max())
    matrix = np.array([[k, 0, size / 2 - k * middle[0]], [0, k, size / 2 - k * middle[1]]])
    crop = cv2.warpAffine(cv2.GaussianBlur(picture, (0, 0), 0.4 / k), matrix, (size, size))
    return crop, (mesh * k + (matrix[0, 2], matrix[1, 2], 0)).astype(np.float32)


def mirrored(picture: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture and its mesh flipped left to right."""
    flipped = mesh[topology().mirror].copy()
    flipped[:, 0] = picture.shape[1] - 1 - flipped[:, 0]
    return np.ascontiguousarray(picture[:, ::-1]), flipped


def painted_glasses(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 the picture with round black frames around the eyes."""
    out, width, black = picture.copy(), regions.face_width(mesh), (20, 18, 18)
    thickness = max(2, round(0.025 * width))
    for ring in topology().eyes:
        x, y = mesh[ring, :2].mean(0)
        cv2.circle(out, (round(float(x)), round(float(y))), round(0.16 * width), black, thickness)
    a, b = (tuple(np.rint(mesh[i, :2]).astype(int).tolist()) for i in (193, 417))
    cv2.line(out, a, b, black, thickness)
    return out
