"""Frames of the Live tab as a browser sends and shows them: JPEG in `data:` addresses.

A few bytes may declare a huge picture, so the size is read from the header before anything is decoded.
"""

from __future__ import annotations

import base64
import binascii
import io

import cv2
import numpy as np

from reliableswap.errors import PictureError
from reliableswap.media.decode import NO_PIXEL_LIMIT, open_image

from .limits import MAX_LIVE_BYTES, MAX_LIVE_PIXELS, MAX_LIVE_SIDE

_QUALITY = 85
_FORMATS = ("JPEG", "PNG", "WEBP")  # in which browsers export a canvas
_HEAD = "data:image/jpeg;base64,"
_DAMAGED = "the webcam's picture is damaged; restart the webcam"
_TOO_LARGE = "the webcam's picture is too large; choose a lower resolution"


def decode_frame(address: object) -> np.ndarray:
    """(H,W,3) uint8 the picture in a `data:` address; raise PictureError for anything else."""
    if not isinstance(address, str) or not address.startswith("data:image/"):
        raise PictureError("the webcam sent no picture; restart it")
    try:
        data = base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError(_DAMAGED) from error
    if len(data) > MAX_LIVE_BYTES:
        raise PictureError(_TOO_LARGE)
    _check_header(data)
    pixels = _decoded(data)
    if pixels is None:
        raise PictureError(_DAMAGED)
    longest = max(pixels.shape[:2])
    if longest > MAX_LIVE_SIDE:
        size = [max(1, round(side * MAX_LIVE_SIDE / longest)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _check_header(data: bytes) -> None:
    """Raise PictureError unless the header is that of a picture which is small enough to decode."""
    try:
        with open_image(io.BytesIO(data), "the webcam's picture", NO_PIXEL_LIMIT) as image:
            kind, (width, height) = image.format, image.size
    except PictureError as error:
        raise PictureError(_DAMAGED) from error
    if kind not in _FORMATS:
        raise PictureError(_DAMAGED)
    if width * height > MAX_LIVE_PIXELS:
        raise PictureError(_TOO_LARGE)


def _decoded(data: bytes) -> np.ndarray | None:
    """(H,W,3) BGR, or None for damaged pixels."""
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
