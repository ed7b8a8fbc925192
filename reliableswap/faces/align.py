"""Crop templates, and the crops that all networks see.

A template is five points on a square canvas. On a canvas k times as large, x becomes (x + 0.5) * k - 0.5, because pixel
centres are whole numbers: a crop of twice the size covers exactly the same part of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from reliableswap.geometry.resampling import crop_interpolation

_NETWORK_SIDE = 128  # side of the crops that networks see
_AVERAGE_ABOVE = 1.25  # photo pixels per pixel of a larger crop above which they are averaged

_ARCFACE_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

_COINCIDE = (
    "the points of the face coincide, so the direction and size of its crop are undefined; pass other points"
)


@dataclass(frozen=True)
class Template:
    """Five points (eye, eye, nose, mouth corner, mouth corner) on a square canvas of `size` pixels."""

    name: str
    size: int
    points: tuple[tuple[float, float], ...]

    def at(self, size: int) -> np.ndarray:
        """(5,2) the points on a canvas of `size` pixels."""
        return (np.array(self.points, np.float64) + 0.5) * (size / self.size) - 0.5


def _moved(points: tuple[tuple[float, float], ...], dx: float) -> tuple[tuple[float, float], ...]:
    return tuple((x + dx, y) for x, y in points)


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        # ArcFace's template moved 8 px to the right on a 128 px canvas: our default, and inswapper's.
        Template("arcface_128", 128, _moved(_ARCFACE_112, 8.0)),
        Template("arcface_112", 112, _ARCFACE_112),
        # The frontal template of SimSwap and FaceShifter checkpoints at 112 and 256 px.
        Template(
            "arcface_112_v1",
            112,
            ((39.730, 51.138), (72.270, 51.138), (56.000, 68.493), (42.463, 87.010), (69.537, 87.010)),
        ),
        # FFHQ's five points at 512 px, as face restoration tools publish them.
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
        # FFHQ's, scaled by 1.2 around (256, 290): the head with its hair, and little background.
        Template(
            "head_512",
            512,
            (
                (180.37766, 229.93650),
                (331.48332, 230.23232),
                (256.76099, 318.82322),
                (190.31340, 387.69252),
                (324.50686, 387.38142),
            ),
        ),
    )
}

# Windows (rows, columns) of the arcface_128 crop, cut out instead of resampled again.
IDENTITY_WINDOW = (slice(0, 112), slice(8, 120))
FIXER_WINDOW = (slice(56, 112), slice(36, 92))  # rows 56:112, columns 28:84 of the identity window


def to_planes(image: np.ndarray) -> np.ndarray:
    """(H,W,3) uint8 -> (1,3,H,W) float32 in [-1,1], the networks' input; in channels-last memory."""
    scaled = cv2.addWeighted(image, 1 / 127.5, image, 0.0, -1.0, dtype=cv2.CV_32F)
    return scaled.transpose(2, 0, 1)[None]


def similarity(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """(2,3) the least-squares similarity (rotation, scale and shift, never a reflection) from points to template.

    Umeyama's closed form in two dimensions.
    """
    points, template = np.asarray(points, np.float64), np.asarray(template, np.float64)
    middle, goal = points.sum(0) / len(points), template.sum(0) / len(template)
    (x, y), (u, v) = (points - middle).T, (template - goal).T
    spread = x @ x + y @ y
    if spread < 1e-12:
        raise ValueError(_COINCIDE)
    turn = np.array([[x @ u + y @ v, y @ u - x @ v], [x @ v - y @ u, x @ u + y @ v]]) / spread
    return np.column_stack([turn, goal - turn @ middle])


def inverse(matrix: np.ndarray) -> np.ndarray:
    """(2,3) the inverse of an affine map (2,3)."""
    return cv2.invertAffineTransform(np.asarray(matrix, np.float64))


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,2) or (N,3) float32 the points mapped by a similarity (2,3); a third column, depth, is scaled."""
    moved = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if points.shape[1] == 3:
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        moved = np.column_stack([moved, points[:, 2] * scale])
    return moved.astype(np.float32)


def crop(
    image: np.ndarray,
    matrix: np.ndarray,
    size: int,
    border: int = cv2.BORDER_REPLICATE,
    method: int = cv2.INTER_LINEAR,
    average_above: float = 2.0,
) -> np.ndarray:
    """(size,size,C) the photo warped by the matrix (2,3) photo -> crop, averaged where it shrinks much.

    Bilinear sampling alone aliases when a large photo becomes a small crop, which changes identity vectors. Networks
    were trained on bilinear crops; for crops that people will look at, choose `method` by geometry.resampling.
    average_above: average if one crop pixel covers more than this many photo pixels, along a side.
    """
    shrink = 1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink <= average_above:
        return cv2.warpAffine(image, matrix, (size, size), flags=method, borderMode=border)
    # Warp to a multiple of the size, then average blocks: area sampling at any angle.
    factor = max(2, int(np.ceil(shrink / 1.5)))
    finer = np.array(matrix, np.float64) * factor
    finer[:, 2] += (factor - 1) / 2
    large = cv2.warpAffine(image, finer, (size * factor,) * 2, flags=cv2.INTER_LINEAR, borderMode=border)
    return cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)


def generator_crop(image: np.ndarray, matrix: np.ndarray, size: int, quick: bool = False) -> np.ndarray:
    """(size,size,C) the crop of a photo for a generator; quick: as for `resampling.sharp`."""
    average_above = 2.0 if size <= _NETWORK_SIDE and not quick else _AVERAGE_ABOVE
    return crop(image, matrix, size, method=crop_interpolation(size, quick), average_above=average_above)


def align(
    image: np.ndarray, points5: np.ndarray, size: int = 128, template: str = "arcface_128"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the aligned crop (size,size,C) and the matrix (2,3) photo -> crop."""
    matrix = similarity(points5, TEMPLATES[template].at(size))
    return crop(image, matrix, size), matrix


def paste_back(crop_image: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H,W,C) the crop warped back to its place in a photo of that shape; zero elsewhere."""
    height, width = shape
    return cv2.warpAffine(crop_image, inverse(matrix), (width, height), flags=cv2.INTER_LINEAR)


def upright(points5: np.ndarray, size: int, scale: float = 3.4) -> np.ndarray:
    """(2,3) the matrix photo -> upright square crop, whose side is `scale` times the distance from eyes to mouth.

    The line between the eyes and the line from eyes to mouth both define what is upright, each weighted by its length.
    In a profile the first line is short and its direction is noise; in a bowed head, the second.
    """
    z = np.asarray(points5, np.float64) @ np.array([1, 1j])
    eyes, mouth = z[:2].mean(), z[3:].mean()
    across = (z[1] - z[0]) + (mouth - eyes) * -1j
    distance = abs(mouth - eyes)
    if distance < 1e-6 or abs(across) < 1e-6:
        raise ValueError(_COINCIDE)
    turn = size / (scale * distance) * abs(across) / across
    shift = (size - 1) / 2 * (1 + 1j) - turn * ((eyes + mouth) / 2)
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
