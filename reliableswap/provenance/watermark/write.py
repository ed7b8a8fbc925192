"""Write the mark: the sum of the waves, stronger where the picture has texture and on faces."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .carriers import FULL_AREA, PERIOD, REACH, amplitudes, carriers, waves
from .codec import encode
from .evidence import luminance
from .protocol import Box

FACE_GAIN = 1.5  # amplitude on a face relative to the same texture elsewhere
_PSNR = 44.0  # dB, of pictures of at least 512 x 512; smaller ones get a stronger mark
_SMALLEST_PSNR = 41.0  # dB, of pictures of at most 256 x 256
_FLAT = 1.1  # amplitude without texture, relative to ...
_TEXTURE = 0.35  # ... the gain in amplitude for each grey level of texture
_MOST_TEXTURE = 12.0  # grey levels; an edge is not taken for texture


def write(pixels: np.ndarray, payload: int, faces: Sequence[Box] = ()) -> np.ndarray:
    """(H,W,3) uint8 `pixels` with the mark. The same change goes to red, green and blue."""
    height, width = pixels.shape[:2]
    zoom = max(1.0, float(np.sqrt(height * width / FULL_AREA)))
    strength = _strength(luminance(pixels), faces, zoom)
    strength *= _rms(height * width) / np.sqrt(np.mean(np.square(strength)))
    change = np.rint(strength * _pattern(payload, height, width, PERIOD * zoom)).astype(np.int16)
    return cv2.add(pixels, cv2.merge([change] * 3), dtype=cv2.CV_8U)


def _rms(area: int) -> float:
    """The mark's root mean square in grey levels."""
    octaves = np.log2(area / 256**2)
    psnr = np.clip(_SMALLEST_PSNR + 1.5 * octaves, _SMALLEST_PSNR, _PSNR)
    return float(255 / 10 ** (psnr / 20))


def _pattern(payload: int, height: int, width: int, period: float) -> np.ndarray:
    """(H,W) float32 sum of the waves, with a mean square of 1."""
    frequencies = carriers().frequencies
    spectrum = np.zeros((2 * REACH + 1, REACH + 1), complex)
    spectrum[frequencies[:, 0] + REACH, frequencies[:, 1]] = amplitudes(encode(payload))
    cosines, sines = waves(height, period)
    down = np.concatenate([cosines[:, :0:-1] - 1j * sines[:, :0:-1], cosines + 1j * sines], 1)  # ky -14 to 14
    rows = (down @ spectrum).astype(np.complex64)
    across = np.concatenate(waves(width, period), 1).T
    scale = np.float32(np.sqrt(2 / len(frequencies)))
    return np.concatenate([rows.real, -rows.imag], 1) @ across * scale


def _strength(grey: np.ndarray, faces: Sequence[Box], zoom: float) -> np.ndarray:
    """(H,W) float32 relative amplitude. It is computed at the size at which a large picture is read."""
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
