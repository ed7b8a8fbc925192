"""Write the mark: the sum of the waves, stronger where the picture has texture and on faces."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .carriers import FULL_AREA, PERIOD, amplitudes, carriers, shifts, superpose
from .codec import encode
from .evidence import local_detail, luminance
from .protocol import Box
from .read import Found, find_unchanged

FACE_GAIN = 1.5  # amplitude on a face relative to the same texture elsewhere
# dB: the mark of a picture of 512 x 512, how much weaker it gets when the area doubles, and the limits.
_PSNR, _PSNR_STEP, _LOWEST_PSNR, _HIGHEST_PSNR = 42.0, 1.5, 40.3, 44.0
_FLAT = 0.66  # grey levels of the mark where there is no texture
_TEXTURE = 0.21  # further grey levels of the mark for each grey level of texture
_MOST_TEXTURE = 12.0  # grey levels; an edge is not taken for texture


def write(pixels: np.ndarray, payload: int, faces: Sequence[Box] = ()) -> np.ndarray:
    """(H,W,3) uint8 `pixels` with the mark. The same change goes to red, green and blue.

    An earlier mark at the same period is taken out first: two on the same waves would disturb each other.
    """
    height, width = pixels.shape[:2]
    zoom = max(1.0, float(np.sqrt(height * width / FULL_AREA)))
    grey = luminance(pixels)
    strength = _strength(grey, faces, zoom)
    strength *= _level(strength, height * width)
    change = strength * superpose(amplitudes(encode(payload)), height, width, PERIOD * zoom)
    earlier = find_unchanged(local_detail(pixels))
    if earlier is not None:
        change -= _earlier_mark(earlier, grey, strength, PERIOD * zoom)
    return cv2.add(pixels, cv2.merge([np.rint(change).astype(np.int16)] * 3), dtype=cv2.CV_8U)


def _earlier_mark(found: Found, grey: np.ndarray, strength: np.ndarray, period: float) -> np.ndarray:
    """(H,W) float32 estimate of a mark in `grey`: of the strength it would have now, times a fitted factor."""
    waves = amplitudes(encode(found.payload)) * shifts(*found.begin).conj()
    mark = strength * superpose(waves, grey.shape[0], grey.shape[1], period)
    factor = np.vdot(mark, grey - cv2.GaussianBlur(grey, (0, 0), period / 10)) / np.vdot(mark, mark)
    return mark * np.float32(np.clip(factor, 0, 1.5))


def _level(strength: np.ndarray, area: int) -> float:
    """Factor from relative strength to the amplitude of each wave in grey levels."""
    usual = float(np.sqrt(np.mean(np.square(strength))))
    weakest = np.clip(_PSNR + _PSNR_STEP * np.log2(area / 512**2), _LOWEST_PSNR, _HIGHEST_PSNR)
    psnr = np.clip(20 * np.log10(255 / usual), _LOWEST_PSNR, weakest)  # a busy picture hides a stronger mark
    return float(255 / 10 ** (psnr / 20)) / usual / np.sqrt(len(carriers().phases) / 2)


def _strength(grey: np.ndarray, faces: Sequence[Box], zoom: float) -> np.ndarray:
    """(H,W) float32 grey levels that the texture hides, computed at the size at which large pictures are read."""
    height, width = grey.shape
    if zoom > 1:
        size = max(1, round(width / zoom)), max(1, round(height / zoom))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2.0))
    strength = _FLAT + _TEXTURE * cv2.blur(np.minimum(detail, _MOST_TEXTURE), (11, 11))
    if len(faces):
        strength *= _face_gain(strength.shape, faces, zoom)
    return cv2.resize(strength, (width, height)) if zoom > 1 else strength


def _face_gain(shape: tuple[int, ...], faces: Sequence[Box], zoom: float) -> np.ndarray:
    """(H,W) float32 FACE_GAIN inside the boxes and 1 outside, with soft borders."""
    inside = np.zeros(shape[:2], np.float32)
    for box in faces:
        left, top, right, bottom = (max(0, round(float(side) / zoom)) for side in box)
        inside[top:bottom, left:right] = 1
    return 1 + (FACE_GAIN - 1) * cv2.blur(inside, (31, 31))
