"""Write the mark: the sum of the waves, stronger where the picture has texture and on faces."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from .carriers import FULL_AREA, PERIOD, amplitudes, carriers, shifts, superpose
from .codec import encode
from .evidence import local_detail, luminance
from .protocol import Box
from .read import FoundMark, find_unchanged

FACE_GAIN = 1.1  # amplitude on a face relative to the same texture elsewhere
# PSNR of the mark in dB: for a picture of 512 x 512, the rise when the area doubles, and the limits.
_PSNR, _PSNR_STEP, _LOWEST_PSNR, _HIGHEST_PSNR = 42.0, 1.5, 40.3, 44.0
_FLAT = 0.66  # grey levels of the mark where there is no texture
_TEXTURE = 0.21  # further grey levels of the mark for each grey level of texture
_MAX_TEXTURE = 12.0  # grey levels; an edge is not taken for texture
_STEP = 4  # pixels of the picture to one of the maps of strength, which are smooth
_WINDOW = (3, 3)  # of those maps' pixels, over which texture is averaged
# Grey levels of the mark that are invisible where nothing hides it, in pictures up to _USUAL_AREA. Larger ones get a
# weaker mark: they are viewed reduced, and read from more tiles. Last: what each grey level of texture hides.
_INVISIBLE, _USUAL_AREA, _MASKED = 0.35, 1 << 22, 1.0


def write(pixels: np.ndarray, payload: int, faces: Sequence[Box] = ()) -> np.ndarray:
    """(H,W,3) uint8 `pixels` with the mark. The same change goes to red, green and blue.

    An earlier mark at the same period is removed first: two on the same waves would disturb each other.
    """
    height, width = pixels.shape[:2]
    zoom = max(1.0, float(np.sqrt(height * width / FULL_AREA)))
    grey = luminance(pixels)
    strength = wave_strength(grey, faces, zoom)
    change = strength * superpose(amplitudes(encode(payload)), height, width, PERIOD * zoom)
    earlier = find_unchanged(local_detail(pixels))
    if earlier is not None:
        change -= _earlier_mark(earlier, grey, strength, PERIOD * zoom)
    change = np.rint(change + dither(height, width)).astype(np.int16)
    return cv2.add(pixels, cv2.merge([change] * 3), dtype=cv2.CV_8U)


def _earlier_mark(found: FoundMark, grey: np.ndarray, strength: np.ndarray, period: float) -> np.ndarray:
    """(H,W) float32 estimate of a mark in `grey`: as it would be written now, times a fitted factor."""
    waves = amplitudes(encode(found.payload)) * shifts(*found.begin).conj()
    mark = strength * superpose(waves, grey.shape[0], grey.shape[1], period)
    factor = np.vdot(mark, grey - cv2.GaussianBlur(grey, (0, 0), period / 10)) / np.vdot(mark, mark)
    return mark * np.float32(np.clip(factor, 0, 1.5))


def wave_strength(grey: np.ndarray, faces: Sequence[Box], zoom: float) -> np.ndarray:
    """(H,W) float32 amplitude of each wave, computed at the size at which large pictures are read."""
    height, width = grey.shape
    if zoom > 1:
        size = max(1, round(width / zoom)), max(1, round(height / zoom))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    detail = cv2.absdiff(grey, cv2.GaussianBlur(grey, (0, 0), 2.0))
    small = max(1, round(grey.shape[1] / _STEP)), max(1, round(grey.shape[0] / _STEP))
    texture = cv2.resize(np.minimum(detail, np.float32(_MAX_TEXTURE)), small, interpolation=cv2.INTER_AREA)
    strength = _FLAT + _TEXTURE * cv2.blur(texture, _WINDOW)
    gain = _face_gain(strength.shape, faces, zoom * _STEP) if len(faces) else np.float32(1)
    strength *= gain
    strength *= _strength_factor(strength, height * width)
    invisible = _INVISIBLE * min(1.0, _USUAL_AREA / (height * width)) ** 0.25 + _MASKED * _masking(
        grey, small
    )
    strength = np.minimum(strength, gain * invisible) / np.float32(np.sqrt(len(carriers().phases) / 2))
    return cv2.resize(strength.astype(np.float32), (width, height))


def _masking(grey: np.ndarray, small: tuple[int, int]) -> np.ndarray:
    """(h,w) float32 grey levels of the picture's own detail at the waves' frequencies; small: width, height.

    Finer noise does not hide the waves. An edge hides nothing beside it, so the minimum of the surroundings counts.
    """
    half = cv2.resize(grey, (-(-grey.shape[1] // 2), -(-grey.shape[0] // 2)), interpolation=cv2.INTER_AREA)
    # With the half-pixel blur of reducing it, these are blurs of 1 and 4 pixels of the picture.
    band = cv2.absdiff(cv2.GaussianBlur(half, (0, 0), 0.43), cv2.GaussianBlur(half, (0, 0), 1.98))
    band = cv2.resize(band, small, interpolation=cv2.INTER_AREA)
    return cv2.erode(cv2.blur(band, _WINDOW), np.ones(_WINDOW))


def _strength_factor(strength: np.ndarray, area: int) -> float:
    """Return the factor that turns relative strength into grey levels."""
    usual = float(np.sqrt(np.mean(np.square(strength))))
    weakest = np.clip(_PSNR + _PSNR_STEP * np.log2(area / 512**2), _LOWEST_PSNR, _HIGHEST_PSNR)
    psnr = np.clip(20 * np.log10(255 / usual), _LOWEST_PSNR, weakest)  # a busy picture hides a stronger mark
    return float(255 / 10 ** (psnr / 20)) / usual


def _face_gain(shape: tuple[int, ...], faces: Sequence[Box], zoom: float) -> np.ndarray:
    """(H,W) float32 FACE_GAIN inside the boxes and 1 outside, with soft borders."""
    inside = np.zeros(shape[:2], np.float32)
    for box in faces:
        left, top, right, bottom = (max(0, round(float(side) / zoom)) for side in box)
        inside[top:bottom, left:right] = 1
    return 1 + (FACE_GAIN - 1) * cv2.blur(inside, (7, 7))


@functools.cache
def _noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (251, 257)).astype(np.float32)


def dither(height: int, width: int) -> np.ndarray:
    """(H,W) float32 noise of less than half a grey level; with it, rounding does not turn faint waves into blots."""
    noise = _noise()
    return cv2.repeat(noise, -(-height // noise.shape[0]), -(-width // noise.shape[1]))[:height, :width]
