"""Figures of pixels: SSIM and PSNR where nothing should change or where the truth is known, and flicker."""

from __future__ import annotations

import cv2
import numpy as np

PSNR_LIMIT = 100.0  # decibels of equal pictures, whose true value has no mean
_WINDOW = 11  # SSIM's Gaussian window and its width, as in the paper of Wang et al. (2004)
_SIGMA = 1.5
GROWN = 0.12  # of the face's width: how far around the outline a swap may blend


def face_region(mesh: np.ndarray, shape: tuple[int, int], grow: float = GROWN) -> np.ndarray:
    """(H,W) bool: the face's outline grown by a share of its width, the same mask for every method."""
    hull = cv2.convexHull(mesh[:, :2].astype(np.float32))[:, 0]
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(hull * 16).astype(np.int32)], 1, shift=4)
    radius = round(grow * float(np.linalg.norm(mesh[234] - mesh[454])))
    if radius > 0:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        mask = cv2.dilate(mask, disc)
    return mask > 0


def psnr(image: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Decibels between two pictures (H,W,3) uint8, over the pixels of `where` (H,W); NaN if there are none."""
    difference = (image.astype(np.float32) - other) ** 2
    chosen = difference if where is None else difference[where]
    if not chosen.size:
        return float("nan")
    error = float(chosen.mean(dtype=np.float64))
    return PSNR_LIMIT if error == 0 else min(PSNR_LIMIT, float(10 * np.log10(255.0**2 / error)))


def ssim_map(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H,W) structural similarity of the lightness of two pictures (H,W,3) uint8."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (image, other))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return np.asarray((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2)))


def ssim(image: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean SSIM over the pixels whose whole window lies in `where` (H,W); NaN if there are none."""
    similarity = ssim_map(image, other)
    if where is None:
        return float(similarity.mean())
    whole = cv2.erode(where.astype(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8), borderValue=1) > 0
    return float(similarity[whole].mean()) if whole.any() else float("nan")


def flicker(frames: np.ndarray, targets: np.ndarray, where: np.ndarray) -> float:
    """Grey levels by which three frames (3,H,W,3) tremble more than the target's own, within `where` (H,W).

    The tremble of a frame is its difference from the mean of its two neighbours: motion at an even pace
    leaves little in it, and what comes and goes within a frame stays.
    """
    return _tremble(frames, where) - _tremble(targets, where)


def _tremble(frames: np.ndarray, where: np.ndarray) -> float:
    before, now, after = frames.astype(np.float32)
    if not where.any():
        return float("nan")
    return float(np.abs(now - (before + after) / 2)[where].mean())
