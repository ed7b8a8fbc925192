"""Pixel metrics: SSIM, PSNR and flicker, inside or outside the face."""

from __future__ import annotations

import cv2
import numpy as np

PSNR_LIMIT = 100.0  # decibels reported for equal pictures, whose PSNR is infinite and would break the mean
FACE_MARGIN = 0.12  # of the face's width: how far a swap may blend outside the outline
_WINDOW, _SIGMA = 11, 1.5  # the Gaussian window of SSIM, as in Wang et al. (2004)
_CHEEKS = 234, 454  # mesh points at the face's left and right edge


def face_region(mesh: np.ndarray, shape: tuple[int, int], margin: float = FACE_MARGIN) -> np.ndarray:
    """Mesh (468,3) -> (H,W) bool, the face's outline with a margin; the same mask serves every method."""
    hull = cv2.convexHull(mesh[:, :2].astype(np.float32))[:, 0]
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(hull * 16).astype(np.int32)], 1, shift=4)
    left, right = _CHEEKS
    radius = round(margin * float(np.linalg.norm(mesh[left] - mesh[right])))
    if radius > 0:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        mask = cv2.dilate(mask, disc)
    return mask > 0


def psnr(image: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Two pictures (H,W,3) uint8 -> decibels over the mask `where` (H,W); NaN if the mask is empty."""
    difference = (image.astype(np.float32) - other) ** 2
    chosen = difference if where is None else difference[where]
    if not chosen.size:
        return float("nan")
    error = float(chosen.mean(dtype=np.float64))
    return PSNR_LIMIT if error == 0 else min(PSNR_LIMIT, float(10 * np.log10(255.0**2 / error)))


def ssim_map(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two pictures (H,W,3) uint8 -> (H,W) structural similarity of their grey versions."""
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (image, other))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return np.asarray((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2)))


def ssim(image: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Two pictures (H,W,3) uint8 -> mean SSIM over the pixels whose window lies in `where` (H,W); NaN if none does."""
    similarity = ssim_map(image, other)
    if where is None:
        return float(similarity.mean())
    whole = cv2.erode(where.astype(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8), borderValue=1) > 0
    return float(similarity[whole].mean()) if whole.any() else float("nan")


def flicker(frames: np.ndarray, targets: np.ndarray, where: np.ndarray) -> float:
    """Three frames (3,H,W,3) of result and target -> grey levels by which the result flickers more, in `where` (H,W).

    The flicker of a frame is its mean absolute difference from the mean of its two neighbours: steady motion adds
    little to it.
    """
    return _flicker_of(frames, where) - _flicker_of(targets, where)


def _flicker_of(frames: np.ndarray, where: np.ndarray) -> float:
    before, now, after = frames.astype(np.float32)
    if not where.any():
        return float("nan")
    return float(np.abs(now - (before + after) / 2)[where].mean())
