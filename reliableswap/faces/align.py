"""Crop templates as data, and the one warp every network shares.

A template is five points on a square canvas. Other sizes scale it by the pixel-centre rule
x' = (x + 0.5)·k − 0.5, so that a crop of twice the size covers exactly the same piece of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_ARCFACE_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


@dataclass(frozen=True)
class Template:
    """Five points (eye, eye, nose, mouth corner, mouth corner) on a square canvas of `size` pixels."""

    name: str
    size: int
    points: tuple[tuple[float, float], ...]

    def at(self, size: int) -> np.ndarray:
        """(5,2) the template's points on a canvas of `size` pixels."""
        return (np.array(self.points, np.float64) + 0.5) * (size / self.size) - 0.5


def _moved(points: tuple[tuple[float, float], ...], dx: float) -> tuple[tuple[float, float], ...]:
    return tuple((x + dx, y) for x, y in points)


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        # ArcFace's template moved 8 px to the right on a 128 canvas: the house's default, inswapper's too.
        Template("arcface_128", 128, _moved(_ARCFACE_112, 8.0)),
        Template("arcface_112", 112, _ARCFACE_112),
        # The frontal template that SimSwap and FaceShifter checkpoints at 112 and 256 were cropped with.
        Template(
            "arcface_112_v1",
            112,
            ((39.730, 51.138), (72.270, 51.138), (56.000, 68.493), (42.463, 87.010), (69.537, 87.010)),
        ),
        # FFHQ's usual five points at 512, as face restoration tools publish them.
        Template(
            "ffhq_512",
            512,
            (
                (192.98138, 239.94708),
                (318.90277, 240.19360),
                (256.63416, 314.01935),
                (201.26117, 371.41043),
                (313.08905, 371.15118),
            ),
        ),
    )
}

# Windows of the arcface_128 crop as slices (rows, columns): no second resampling.
IDENTITY_WINDOW = (slice(0, 112), slice(8, 120))
FIXER_WINDOW = (slice(56, 112), slice(36, 92))  # rows 56:112, columns 28:84 of the identity window


def similarity(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """(2,3) the least-squares similarity (rotation, scale, shift; never a mirror) taking points to template.

    Umeyama's closed form in two dimensions, written with complex numbers: w = a·z + b.
    """
    z = np.asarray(points, np.float64) @ np.array([1, 1j])
    w = np.asarray(template, np.float64) @ np.array([1, 1j])
    spread = np.abs(z - z.mean()) ** 2
    if spread.sum() < 1e-12:
        raise ValueError("the points lie on one spot, so they have no direction or size to align")
    a = (np.conj(z - z.mean()) * (w - w.mean())).sum() / spread.sum()
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def inverse(matrix: np.ndarray) -> np.ndarray:
    """(2,3) the inverse of an affine map."""
    return np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,2) or (N,3) points under a similarity; a third column (depth) scales with it."""
    moved = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if points.shape[1] == 3:
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        moved = np.column_stack([moved, points[:, 2] * scale])
    return moved.astype(np.float32)


def crop(image: np.ndarray, matrix: np.ndarray, size: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """(size,size,C) the piece of the photo under the matrix, smoothed first where it has to shrink.

    Bilinear sampling alone aliases when a large photo goes into a small crop, and identity encoders notice.
    """
    shrink = 1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink <= 2.0:
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    # Warp to a whole multiple of the wanted size, then average: area sampling at any angle.
    factor = int(np.ceil(shrink / 1.5))
    finer = np.array(matrix, np.float64) * factor
    finer[:, 2] += (factor - 1) / 2
    large = cv2.warpAffine(image, finer, (size * factor,) * 2, flags=cv2.INTER_LINEAR, borderMode=border)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def align(
    image: np.ndarray, points5: np.ndarray, size: int = 128, template: str = "arcface_128"
) -> tuple[np.ndarray, np.ndarray]:
    """The aligned crop (size,size,C) and the (2,3) matrix photo -> crop."""
    matrix = similarity(points5, TEMPLATES[template].at(size))
    return crop(image, matrix, size), matrix


def paste_back(crop_image: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H,W,C) the crop laid back where it came from, on an empty (zero) photo of that height and width."""
    height, width = shape
    return cv2.warpAffine(crop_image, inverse(matrix), (width, height), flags=cv2.INTER_LINEAR)


def upright(points5: np.ndarray, size: int, scale: float = 3.4) -> np.ndarray:
    """(2,3) the matrix photo -> upright square crop, its side `scale` times the distance from eyes to mouth.

    Upright follows the eyes and the line from eyes to mouth together: in a profile the eyes lie close and
    their direction is noise, in a bowed head the other line is the short one.
    """
    z = np.asarray(points5, np.float64) @ np.array([1, 1j])
    eyes, mouth = z[:2].mean(), z[3:].mean()
    across = (z[1] - z[0]) + (mouth - eyes) * -1j
    distance = abs(mouth - eyes)
    if distance < 1e-6 or abs(across) < 1e-6:
        raise ValueError("the points lie on one spot, so they have no direction or size to crop by")
    turn = size / (scale * distance) * abs(across) / across
    shift = (size - 1) / 2 * (1 + 1j) - turn * ((eyes + mouth) / 2)
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
