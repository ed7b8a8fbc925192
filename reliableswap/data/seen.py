"""What a face shows, found once and stored beside its picture: what covers it as a source, its bare skin, its glasses.

It is (128,128,3) uint8 over the whole crop: `hidden`, `bare` (both as in visibility.Covers, strictly judged) and
glasses, in sixteen steps, which a PNG file holds in a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.parts import bundled_visibility, find_parts_of_each
from reliableswap.faces.visibility import find_covers, find_glasses
from reliableswap.runtime.torch import frozen_copy

from .aligned import AlignedFace

SIDE = 128
GLASSES = 2  # channel, after `hidden` and `bare`
_STEP = 17  # of 255: sixteen steps from 0 to 255


def look_at(faces: Sequence[AlignedFace]) -> list[np.ndarray]:
    """(128,128,3) uint8 for each face."""
    parts = find_parts_of_each([face.crop for face in faces], [face.mesh for face in faces], _network())
    found = []
    for face, one in zip(faces, parts, strict=True):
        covers = find_covers(face.crop, face.mesh, bundled_glasses(), strict=True, parts=one)
        found.append(_picture([*covers.on(face.crop.shape[:2]), worn_by(face)]))
    return found


def worn_by(face: AlignedFace) -> np.ndarray:
    """(P,P) in 0..1 the glasses of a face of which nothing is stored."""
    return find_glasses(face.crop, face.mesh, bundled_glasses())


def encode_seen(seen: np.ndarray) -> bytes:
    """(128,128,3) uint8 -> a PNG file."""
    return bytes(cv2.imencode(".png", seen[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 4])[1])


def to_plane(plane: np.ndarray) -> np.ndarray:
    """(P,P) in 0..1 -> (128,128) uint8 in sixteen steps."""
    method = cv2.INTER_AREA if len(plane) > SIDE else cv2.INTER_LINEAR
    small = plane if len(plane) == SIDE else cv2.resize(plane, (SIDE, SIDE), interpolation=method)
    return np.asarray(np.rint(np.clip(small, 0, 1) * 15) * _STEP, np.uint8)


def _picture(planes: Sequence[np.ndarray]) -> np.ndarray:
    return np.dstack([to_plane(plane) for plane in planes])


@lru_cache(maxsize=1)
def _network() -> Any:
    """The bundled VisibilityNet with its norms folded, which takes half of the time."""
    return frozen_copy(bundled_visibility(), gradients=False)
