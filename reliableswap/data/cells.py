"""How a shard stores pictures and meshes: as image files and integers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from reliableswap.provenance import mark_bytes

EXTENSIONS = {"jpeg": ".jpg", "png": ".png"}
MESH_LENGTH = 468 * 3
_MESH_UNIT = 32  # mesh coordinates are stored in 1/32 pixel, finer than the accuracy of any mesh network
_OPTIONS = {
    "jpeg": [
        cv2.IMWRITE_JPEG_QUALITY,
        95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 4],
}


def encode_picture(picture: np.ndarray, form: str, *, ai_made: bool = False) -> bytes:
    """(S,S,3) uint8 RGB -> a JPEG file of quality 95 without colour subsampling, or a PNG file.

    ai_made: add the mark of an AI-made picture, which `provenance.read_mark` finds. The pixels stay the same.
    """
    extension = EXTENSIONS[form]
    done, data = cv2.imencode(extension, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _OPTIONS[form])
    if not done:
        raise ReliableSwapError(
            f"this OpenCV can't write {extension} files; install one that can, such as opencv-python"
        )
    return mark_bytes(data.tobytes()) if ai_made else data.tobytes()


def decode_picture(data: Any) -> np.ndarray:
    """A stored picture's bytes, in any buffer -> (S,S,3) uint8 RGB."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ReliableSwapError(
            f"a stored picture of {len(data)} bytes can't be decoded; make its shard again"
        )
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def encode_mesh(mesh: np.ndarray) -> np.ndarray:
    """(468,3) in crop pixels -> (1404,) int16 in 1/32 pixel."""
    return np.clip(np.rint(mesh.reshape(-1) * _MESH_UNIT), -32768, 32767).astype(np.int16)


def decode_mesh(values: Any) -> np.ndarray:
    """(1404,) in 1/32 pixel -> (468,3) float32 in crop pixels."""
    return np.asarray(values, np.float32).reshape(468, 3) / _MESH_UNIT
