"""The evidence of a mark in pixels: fine detail, made equally strong everywhere and at every frequency."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .carriers import FULL_AREA, PERIOD, REACH, with_opposites

_TILE = int(PERIOD)
_HIGHEST_PEAK = 8.0  # power of a frequency relative to its neighbours; stripes have higher ones
_WINDOW = 0.05  # cycles a pixel over which the spectrum is smoothed


@dataclass(frozen=True)
class Evidence:
    """spectrum: (H',W'/2+1) complex Fourier transform of detail (H,W), padded to (H',W'). level: its smoothed power."""

    spectrum: np.ndarray
    level: np.ndarray
    extent: tuple[int, int]
    padded: tuple[int, int]

    def detail(self) -> np.ndarray:
        """(H,W) float32 detail in which every frequency is equally strong."""
        height, width = self.extent
        white = np.fft.irfft2(self.spectrum / np.sqrt(self.level), s=self.padded)
        return white[:height, :width].astype(np.float32)

    def autocorrelation(self) -> np.ndarray:
        """(H',W') float32 autocorrelation of the detail, with lag zero in the middle."""
        return np.fft.fftshift(np.fft.irfft2(_power(self.spectrum) / self.level, s=self.padded)).astype(
            np.float32
        )

    def lattice(self) -> np.ndarray:
        """(29,29) complex amplitudes of the waves of a picture that was not resized, taken from the spectrum."""
        rows = np.arange(-REACH, REACH + 1) * (self.padded[0] // _TILE) % self.padded[0]
        columns = np.arange(REACH + 1) * (self.padded[1] // _TILE)
        places = np.ix_(rows, columns)
        return with_opposites(self.spectrum[places] / np.sqrt(self.level[places]))


def luminance(pixels: np.ndarray) -> np.ndarray:
    """(H,W) float32 luminance (BT.601) of (H,W,3) uint8 RGB."""
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY).astype(np.float32)


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
    """Estimate the smoothed power of (H,W) detail at each frequency, raised at high peaks so that these are cut."""
    height, width = detail.shape
    # Multiples of the tile, so that its waves fall on bins of the spectrum.
    padded = tuple(_TILE * cv2.getOptimalDFTSize(-(-side // _TILE)) for side in (height, width))
    spectrum = np.fft.rfft2(detail, s=padded)
    power = _power(spectrum)
    window = int(padded[1] * _WINDOW) | 1, int(padded[0] * _WINDOW) | 1
    smooth = cv2.blur(np.fft.fftshift(power, axes=0), window, borderType=cv2.BORDER_REFLECT)
    smooth = np.fft.ifftshift(smooth, axes=0)
    level = np.maximum(smooth + 1e-3 * power.mean() + 1e-12, power / _HIGHEST_PEAK)
    return Evidence(spectrum, level, (height, width), (padded[0], padded[1]))


def _power(spectrum: np.ndarray) -> np.ndarray:
    return np.square(spectrum.real) + np.square(spectrum.imag)
