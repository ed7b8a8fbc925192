"""Faces drawn into their photo, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .face import Face

_GREEN, _BLACK = (60, 220, 90), (0, 0, 0)


def annotate(image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """(H,W,3) a copy of the photo with each face's number, box, five points and mesh."""
    drawn = image.copy()
    for index, face in enumerate(faces):
        thick = max(1, round(face.size / 150))
        for x, y in face.mesh[:, :2]:
            cv2.circle(drawn, (round(float(x)), round(float(y))), max(1, thick // 2), (255, 255, 255), -1)
        x0, y0, x1, y1 = (round(float(v)) for v in face.box)
        cv2.rectangle(drawn, (x0, y0), (x1, y1), _GREEN, thick)
        for x, y in face.points5:
            cv2.circle(drawn, (round(float(x)), round(float(y))), thick + 1, (255, 80, 60), -1)
        _label(drawn, str(index), (x0, y0), max(0.4, face.size / 250))
    return drawn


def _label(image: np.ndarray, text: str, corner: tuple[int, int], scale: float) -> None:
    """A number on a dark plate above the corner, inside the picture even at its edge."""
    thick = max(1, round(scale * 2))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x = min(max(0, corner[0]), max(0, image.shape[1] - width))
    y = max(height + below, corner[1])
    cv2.rectangle(image, (x, y - height - below), (x + width, y), _BLACK, -1)
    cv2.putText(image, text, (x, y - below // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, _GREEN, thick, cv2.LINE_AA)
