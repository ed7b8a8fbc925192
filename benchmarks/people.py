"""The ten people of the package openpeople, who do not exist, and crops of their faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PEOPLE = tuple(f"P{number:03d}" for number in range(1, 11))
KINDS = ("studio_portrait", "amateur_selfie")


def photo_of(person: str, kind: str = KINDS[0]) -> Path:
    """The file of a person's photo, for example P001 and studio_portrait."""
    import openpeople

    return Path(openpeople.__file__).parent / "data" / "curated" / person / "assets" / f"{kind}.jpg"


def around_face(pixels: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """Picture (H,W,3), box (4,) -> (side,side,3) the square around the face."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * 0.85
    scale = side / (2 * half)
    if (
        scale < 0.5
    ):  # average first: warpAffine would sample a large photo so sparsely that edges become jagged
        pixels = cv2.resize(pixels, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        centre, scale = centre * 2 * scale, 0.5
    shift = side / 2 - scale * centre
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(
        pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
