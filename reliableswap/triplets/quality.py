"""Measure a photo: how good it is as ground truth, the direction of the head, and the direction of the light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from reliableswap.faces.quality import FACE, grey_crop, sharpness
from reliableswap.geometry import regions
from reliableswap.geometry.shape import similarity3d
from reliableswap.geometry.topology import topology

from .settings import QualitySettings

_LIGHT = 16  # side in cells of the grid on which light is measured
_BURNT, _BLACK = 250, 6


@dataclass(frozen=True)
class Measures:
    """Measures of an aligned face. Angles are in degrees; light: slopes to the right and down, and contrast."""

    enlargement: float
    sharpness: float
    score: float
    yaw: float
    pitch: float
    clipped: float
    covered: float
    light: tuple[float, float, float]


def measure(crop: np.ndarray, mesh: np.ndarray, enlargement: float, score: float, covered: float) -> Measures:
    """The measures of an aligned crop (S,S,3) with its mesh (468,3) in crop pixels."""
    yaw, pitch = head_angles(mesh)
    clipped = clipped_share(crop, mesh)
    return Measures(enlargement, sharpness(crop), score, yaw, pitch, clipped, covered, light_slopes(crop))


def head_angles(mesh: np.ndarray) -> tuple[float, float]:
    """Yaw and pitch in degrees, from the rigid alignment of the mesh (468,3) with the mean face."""
    rotation = similarity3d(mesh, topology().canonical)[1]
    sideways, upwards, forwards = (float(v) for v in rotation[2])
    yaw = np.degrees(np.arctan2(sideways, forwards))
    return float(yaw), float(np.degrees(np.arctan2(upwards, np.hypot(sideways, forwards))))


def clipped_share(crop: np.ndarray, mesh: np.ndarray) -> float:
    """The share of the face that is burnt out or black in every channel."""
    inside = regions.oval(mesh, crop.shape[:2]) > 0
    pixels = crop[inside]
    if not len(pixels):
        return 1.0
    clipped = (pixels.min(1) >= _BURNT) | (pixels.max(1) <= _BLACK)
    return float(clipped.mean())


def light_slopes(crop: np.ndarray) -> tuple[float, float, float]:
    """Slopes of lightness to the right and down, across half the face, and the face's contrast, in units of L."""
    cells = cv2.resize(grey_crop(crop)[FACE], (_LIGHT, _LIGHT), interpolation=cv2.INTER_AREA) / 2.55
    across = np.linspace(-1, 1, _LIGHT, dtype=np.float32)
    spread = float((across**2).mean())
    right = float((cells * across).mean()) / spread
    down = float((cells * across[:, None]).mean()) / spread
    return right, down, float(cells.std())


def faults(measures: Any, settings: QualitySettings) -> dict[str, Any]:
    """Return, by reason, whether a photo is unfit as ground truth. The first reason that applies is the one to report.

    measures: `Measures`, or an object with the same attributes, each a column of many photos.
    """
    m = measures
    return {
        "small": m.enlargement > settings.max_enlargement,
        "unsure": m.score < settings.min_score,
        "turned": (abs(m.yaw) > settings.max_yaw) | (abs(m.pitch) > settings.max_pitch),
        "clipped": m.clipped > settings.max_clipped,
        "covered": m.covered > settings.max_covered,
        "blurred": m.sharpness < settings.min_sharpness,
    }


def quality(measures: Any) -> Any:
    """Rate a photo from 0 to 1, to tell the better of two. It is a product: one bad measure makes a bad photo.

    measures: as for `faults`.
    """
    m = measures
    size = np.minimum(1.0, 1.0 / np.maximum(m.enlargement, 1e-6))
    sharp = np.minimum(1.0, m.sharpness / 0.45)
    frontal = np.cos(np.radians(m.yaw)) * np.cos(np.radians(m.pitch))
    seen = (1 - m.clipped) * (1 - m.covered)
    return np.maximum(size * sharp * np.maximum(frontal, 0.0) * m.score * seen, 0.0)
