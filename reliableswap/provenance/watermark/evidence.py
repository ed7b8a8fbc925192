"""What pixels show of the mark: fine detail, made equally strong everywhere and at every frequency."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .carriers import FULL_AREA

_HIGHEST_PEAK = 8.0  # power of a frequency relative to its neighbours; stripes have higher ones
_WINDOW = 0.05  # cycles a pixel over which the spectrum is smoothed


@dataclass(frozen=True)
class Evidence:
    """detail: (H,W) float32, nearly white. power: (H',W'/2+1) its power spectrum when padded to (H',W')."""

    detail: np.ndarray
    power: np.ndarray
    padded: tuple[int, int]

    def likeness(self) -> np.ndarray:
        """(H',W') float32 autocorrelation of the detail, with lag zero in the middle."""
        return np.fft.fftshift(np.fft.irfft2(self.power, s=self.padded)).astype(np.float32)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """(H,W) float32 luminance (BT.601) of (H,W,3) uint8 RGB."""
    return cv2.transform(pixels, np.array([[0.299, 0.587, 0.114]], np.float32)).astype(np.float32)


def local_detail(pixels: np.ndarray) -> np.ndarray:
    """(H,W) float32 fine detail of a picture, divided by its local strength. Large pictures are reduced first."""
    height, width = pixels.shape[:2]
    if height * width > FULL_AREA:
        zoom = np.sqrt(height * width / FULL_AREA)
        pixels = cv2.resize(pixels, (round(width / zoom), round(height / zoom)), interpolation=cv2.INTER_AREA)
    grey = luminance(pixels)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 2.5)
    power = cv2.blur(detail * detail, (9, 9))
    return np.clip(detail / np.sqrt(power + 4.0), -3, 3)


def whiten(detail: np.ndarray) -> Evidence:
    """Divide the spectrum of (H,W) detail by its own smoothed magnitude, and cut its peaks."""
    height, width = detail.shape
    shape = cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)
    spectrum = np.fft.rfft2(detail, s=shape)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    window = int(shape[1] * _WINDOW) | 1, int(shape[0] * _WINDOW) | 1
    smooth = cv2.blur(np.fft.fftshift(power, axes=0), window, borderType=cv2.BORDER_REFLECT)
    smooth = np.fft.ifftshift(smooth, axes=0)
    smooth = np.maximum(smooth + 1e-3 * power.mean() + 1e-12, power / _HIGHEST_PEAK)
    white = np.fft.irfft2(spectrum / np.sqrt(smooth), s=shape)[:height, :width]
    return Evidence(white.astype(np.float32), power / smooth, shape)
