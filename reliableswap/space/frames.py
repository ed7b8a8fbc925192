"""Frames of the Live tab as a browser sends and shows them: JPEG in `data:` addresses."""

from __future__ import annotations

import base64
import binascii

import cv2
import numpy as np

from reliableswap.errors import PictureError

from .limits import MAX_LIVE_BYTES, MAX_LIVE_SIDE

_QUALITY = 85
_HEAD = "data:image/jpeg;base64,"


def decode_frame(address: object) -> np.ndarray:
    """(H,W,3) uint8 the picture in a `data:` address; raise PictureError for anything else."""
    if not isinstance(address, str) or not address.startswith("data:image/"):
        raise PictureError("the webcam sent no picture; start it again")
    try:
        data = base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError("the webcam's picture is damaged; start it again") from error
    if len(data) > MAX_LIVE_BYTES:
        raise PictureError("the webcam's picture is too large; choose a lower resolution")
    pixels = _decoded(data)
    if pixels is None:
        raise PictureError("the webcam's picture is damaged; start it again")
    longest = max(pixels.shape[:2])
    if longest > MAX_LIVE_SIDE:
        size = [max(1, round(side * MAX_LIVE_SIDE / longest)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _decoded(data: bytes) -> np.ndarray | None:
    """(H,W,3) BGR, or None; OpenCV raises for empty data and for huge sizes in a header."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def encode_frame(pixels: np.ndarray) -> str:
    """The `data:` address of a frame (H,W,3) uint8."""
    made, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert made, "a JPEG can be made of every frame"
    return _HEAD + base64.b64encode(data.tobytes()).decode()
