"""What is seen of a face, found once and stored beside its picture: what covers it as a source, its bare skin, its
glasses.

These are three planes of 128x128 bytes over the whole crop: `hidden` and `bare` (as in visibility.Covers, judged
strictly) and glasses, in sixteen levels. They are stored one above the other in a PNG file of a few kilobytes; a face
without glasses has only the first two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.faces.glasses import bundled_glasses
from reliableswap.faces.parts import bundled_visibility, find_parts_of_each
from reliableswap.faces.visibility import find_covers, find_glasses

if TYPE_CHECKING:
    from .aligned import AlignedFace

SIDE = 128
GLASSES = 2  # the plane after `hidden` and `bare`
_STEP = 17  # between sixteen levels from 0 to 255
_HEIGHT = slice(20, 24)  # bytes of a PNG file that hold its height


@dataclass(frozen=True, eq=False)
class StoredCovers:
    """What is stored with one face: a PNG file, in any buffer, and whether the face was mirrored since."""

    data: Any
    mirrored: bool = False

    @property
    def wears_glasses(self) -> bool:
        """Whether there are glasses, by the file's height, without decoding it."""
        return int.from_bytes(memoryview(self.data)[_HEIGHT], "big") > GLASSES * SIDE

    def planes(self) -> np.ndarray:
        """(3,128,128) uint8"""
        strip = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if strip is None or strip.shape not in ((2 * SIDE, SIDE), (3 * SIDE, SIDE)):
            raise ReliableSwapError(
                f"the stored covers of a face ({len(self.data)} bytes) can't be decoded; make its shard again"
            )
        planes = np.zeros((3 * SIDE, SIDE), np.uint8)
        planes[: len(strip)] = cv2.flip(strip, 1) if self.mirrored else strip
        return planes.reshape(3, SIDE, SIDE)

    def flipped(self) -> StoredCovers:
        """The same for the mirror image."""
        return replace(self, mirrored=not self.mirrored)


def find_cover_planes(faces: Sequence[AlignedFace]) -> list[np.ndarray]:
    """(3,128,128) uint8 for each face."""
    parts = find_parts_of_each(
        [face.crop for face in faces], [face.mesh for face in faces], bundled_visibility()
    )
    found = []
    for face, one in zip(faces, parts, strict=True):
        covers = find_covers(face.crop, face.mesh, bundled_glasses(), strict=True, parts=one)
        planes = [*covers.on(face.crop.shape[:2]), find_glasses_mask(face)]
        found.append(np.stack([to_plane(plane) for plane in planes]))
    return found


def find_glasses_mask(face: AlignedFace) -> np.ndarray:
    """(P,P) in 0..1 the glasses of a face, found in its picture."""
    return find_glasses(face.crop, face.mesh, bundled_glasses())


def encode_cover_planes(planes: np.ndarray) -> bytes:
    """(3,128,128) uint8 -> a PNG file."""
    strip = planes if planes[GLASSES].any() else planes[:GLASSES]
    return bytes(cv2.imencode(".png", strip.reshape(-1, SIDE), [cv2.IMWRITE_PNG_COMPRESSION, 4])[1])


def to_plane(plane: np.ndarray) -> np.ndarray:
    """(P,P) in 0..1 -> (128,128) uint8 in sixteen levels."""
    method = cv2.INTER_AREA if len(plane) > SIDE else cv2.INTER_LINEAR
    small = plane if len(plane) == SIDE else cv2.resize(plane, (SIDE, SIDE), interpolation=method)
    return np.asarray(np.rint(np.clip(small, 0, 1) * 15) * _STEP, np.uint8)
