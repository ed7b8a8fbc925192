"""Photos rendered as drawings, paintings and stone by classical filters: (H,W,3) uint8 -> (H,W,3) uint8.

They make a test set of domains other than photos, without anybody's artwork. Lengths scale with the picture's size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np


def pencil(picture: np.ndarray) -> np.ndarray:
    """Grey strokes on paper: the picture divided by its blurred surroundings, with hatching in the shadows."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lines = np.clip(grey / np.maximum(_blurred(grey, 0.012), 1), 0, 1)
    hatching = 0.75 + 0.25 * cv2.GaussianBlur(_noise(grey.shape, 3), (0, 0), 0.7)
    shade = 1 - 0.45 * (1 - grey / 255) * np.clip(2 * hatching - 0.8, 0, 1)
    paper = np.array([250, 247, 238], np.float32)
    return _picture((lines**1.5 * shade)[..., None] * paper)


def oil(picture: np.ndarray) -> np.ndarray:
    """Flat strokes: in each place the mean of the most frequent of eight tones nearby."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    reach = max(3, 2 * round(0.007 * max(grey.shape)) + 1)
    most, result = np.full(grey.shape, -1, np.float32), np.zeros(picture.shape, np.float32)
    for level in range(8):
        inside = (grey // 32 == level).astype(np.float32)
        count = cv2.blur(inside, (reach, reach))
        mean = cv2.blur(picture * inside[..., None], (reach, reach)) / np.maximum(count, 1e-6)[..., None]
        result = np.where((count > most)[..., None], mean, result)
        most = np.maximum(most, count)
    relief = cv2.Laplacian(cv2.GaussianBlur(result, (0, 0), 1), cv2.CV_32F)
    return _saturated(_picture(result - 0.6 * relief), 1.3)


def watercolour(picture: np.ndarray) -> np.ndarray:
    """Washes of colour with darker edges on rough paper."""
    washed = picture
    for _ in range(3):
        washed = cv2.bilateralFilter(washed, 0, 30, 0.008 * max(picture.shape))
    edges = np.abs(
        cv2.Laplacian(cv2.GaussianBlur(cv2.cvtColor(washed, cv2.COLOR_RGB2GRAY), (0, 0), 1.5), cv2.CV_32F)
    )
    paper = 1 + 0.05 * cv2.GaussianBlur(_noise(picture.shape[:2], 5), (0, 0), 1.2)
    bright = 255 - 0.8 * (255 - washed.astype(np.float32))
    return _picture((bright - 3 * edges[..., None]) * paper[..., None])


def cartoon(picture: np.ndarray) -> np.ndarray:
    """Few flat tones and dark outlines."""
    flat = picture
    for _ in range(4):
        flat = cv2.bilateralFilter(flat, 0, 35, 0.006 * max(picture.shape))
    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] = 28 * np.rint(lab[..., 0] / 28)
    toned = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    grey = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 5)
    block = max(5, 2 * round(0.008 * max(grey.shape)) + 1)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, 4)
    return _saturated(np.minimum(toned, np.maximum(lines, 40)[..., None]), 1.4)


def stone(picture: np.ndarray) -> np.ndarray:
    """A grey relief: the picture's brightness as height, lit from the side, with the grain of the stone."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height = cv2.bilateralFilter(grey, 0, 40, 0.006 * max(grey.shape))
    slope = cv2.Sobel(_blurred(height, 0.002), cv2.CV_32F, 1, 1, ksize=3)
    grain = cv2.GaussianBlur(_noise(grey.shape, 7), (0, 0), 0.8)
    light = 95 + 0.42 * height + 1.2 * slope + 12 * grain
    return _picture(light[..., None] * np.array([1.0, 0.98, 0.94], np.float32))


STYLES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "pencil": pencil,
    "oil": oil,
    "watercolour": watercolour,
    "cartoon": cartoon,
    "stone": stone,
}


def _blurred(plane: np.ndarray, share: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), max(0.5, share * max(plane.shape)))


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape[:2], np.float32)


def _saturated(picture: np.ndarray, factor: float) -> np.ndarray:
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 1:] = 128 + factor * (lab[..., 1:] - 128)
    return cv2.cvtColor(np.clip(np.rint(lab), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


def _picture(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
