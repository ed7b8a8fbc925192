"""Draw the faces found in a photo, for people to check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from .face import Face

_GREEN, _BLACK = (60, 220, 90), (0, 0, 0)
# A sheet of people: a picture's side and its caption's height in pixels, and pictures per row.
_SIDE, _CAPTION, _ACROSS = 112, 18, 8


def annotate(image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """Return a copy (H,W,3) uint8 of the photo with each face's number, box, five points and mesh drawn."""
    drawn = image.copy()
    for index, face in enumerate(faces):
        thickness = max(1, round(face.size / 150))
        for x, y in face.mesh[:, :2]:
            cv2.circle(drawn, (round(float(x)), round(float(y))), max(1, thickness // 2), (255, 255, 255), -1)
        x0, y0, x1, y1 = (round(float(v)) for v in face.box)
        cv2.rectangle(drawn, (x0, y0), (x1, y1), _GREEN, thickness)
        for x, y in face.points5:
            cv2.circle(drawn, (round(float(x)), round(float(y))), thickness + 1, (255, 80, 60), -1)
        _label(drawn, str(index), (x0, y0), max(0.4, face.size / 250))
    return drawn


def _label(image: np.ndarray, text: str, corner: tuple[int, int], scale: float) -> None:
    """Draw text on a black box above the corner (x, y), moved inside the picture if it would not fit."""
    thickness = max(1, round(scale * 2))
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x = min(max(0, corner[0]), max(0, image.shape[1] - width))
    y = max(height + baseline, corner[1])
    cv2.rectangle(image, (x, y - height - baseline), (x + width, y), _BLACK, -1)
    cv2.putText(
        image, text, (x, y - baseline // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, _GREEN, thickness, cv2.LINE_AA
    )


class NumberedThumbnail(Protocol):
    """The part of `ClipPerson` that a sheet needs: a number and a picture (112,112,3) uint8."""

    @property
    def number(self) -> int: ...

    @property
    def thumbnail(self) -> np.ndarray: ...


def people_sheet(people: Sequence[NumberedThumbnail]) -> np.ndarray:
    """Draw a sheet (H,W,3) uint8 of the pictures of one or more people of a clip with their numbers."""
    tiles = []
    for one in people:
        tile = np.full((_SIDE + _CAPTION, _SIDE, 3), 255, np.uint8)
        tile[:_SIDE] = one.thumbnail
        place = (4, _SIDE + _CAPTION - 5)
        cv2.putText(tile, str(one.number), place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        tiles.append(tile)
    across = min(_ACROSS, len(tiles))
    while len(tiles) % across:
        tiles.append(np.full_like(tiles[0], 255))
    return np.vstack([np.hstack(tiles[first : first + across]) for first in range(0, len(tiles), across)])
