"""Random degradations of training pictures: light, blur, noise, JPEG, and objects in front of faces."""

from __future__ import annotations

import cv2
import numpy as np

Rng = np.random.Generator


def degrade(image: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """(H,W,3) uint8 the picture as if taken under worse conditions; each degradation is applied at random."""
    if rng.random() < 0.7:
        image = _relight(image, rng, strength)
    if rng.random() < 0.12:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if rng.random() < 0.25 * strength:
        image = _blur(image, rng)
    if rng.random() < 0.2 * strength:
        image = _lower_resolution(image, rng)
    if rng.random() < 0.35 * strength:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 14))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4 * strength:
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 95))])
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return image


def _relight(image: np.ndarray, rng: Rng, strength: float) -> np.ndarray:
    """Change gamma, contrast, brightness and colour cast with one lookup table per channel."""
    ramp = np.linspace(0, 1, 256)
    gamma = np.exp(rng.normal(0, 0.3 * strength))
    if rng.random() < 0.1 * strength:  # a dark room
        gamma *= rng.uniform(1.5, 2.5)
    contrast, shift = np.exp(rng.normal(0, 0.2 * strength)), rng.normal(0, 0.08 * strength)
    curves = [
        np.clip(((ramp**gamma - 0.5) * contrast + 0.5 + shift) * np.exp(rng.normal(0, 0.08 * strength)), 0, 1)
        for _ in range(3)
    ]
    return cv2.LUT(image, (np.stack(curves, 1)[:, None] * 255).astype(np.uint8))


def _blur(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Blur by a Gaussian, or by motion in a random direction."""
    if rng.random() < 0.7:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.0))
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    half = (length - 1) / 2
    ends = [(round(half + s * half * np.cos(angle)), round(half + s * half * np.sin(angle))) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _lower_resolution(image: np.ndarray, rng: Rng) -> np.ndarray:
    """Reduce the picture and enlarge it again."""
    height, width = image.shape[:2]
    factor = rng.uniform(0.35, 0.8)
    small = cv2.resize(image, (int(width * factor), int(height * factor)), interpolation=cv2.INTER_AREA)
    method = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    return cv2.resize(small, (width, height), interpolation=method)


def random_texture(rng: Rng, size: int) -> np.ndarray:
    """(size,size,3) uint8 a random picture without a face: flat colour, clouds or stripes, with shapes on it."""
    kind = rng.integers(0, 4)
    if kind == 1:
        image = _clouds(rng, size)
    elif kind == 2:
        image = _stripes(rng, size)
    else:
        image = np.full((size, size, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(int(rng.integers(0, 14))):
        draw_shape(image, rng)
    return image


def _clouds(rng: Rng, size: int) -> np.ndarray:
    """(size,size,3) uint8 noise of several scales."""
    total = np.zeros((size, size, 3), np.float32)
    for cells in (3, 7, 17, 40):
        noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC) / cells**0.5
    return np.clip(total * rng.uniform(20, 70) + rng.uniform(40, 215), 0, 255).astype(np.uint8)


def _stripes(rng: Rng, size: int) -> np.ndarray:
    """(size,size,3) uint8 stripes on a gradient."""
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(3, 40)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * frequency)[..., None]
    values = rng.uniform(0, 255, 3) + wave * rng.uniform(0, 80, 3) + x[..., None] * rng.uniform(-60, 60, 3)
    return np.clip(values, 0, 255).astype(np.uint8)


def draw_shape(image: np.ndarray, rng: Rng, reach: float = 0.35) -> None:
    """Draw a random ellipse, polygon, line or word into the picture (H,W,3), in place.

    reach: its largest half width, as a fraction of the picture's longer side.
    """
    size = max(image.shape[:2])
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    centre = rng.integers(0, size, 2)
    extent = np.maximum(1, (rng.random(2) * reach * size).astype(int))
    x, y = map(int, centre)
    kind = rng.integers(0, 4)
    if kind == 0:
        axes = (int(extent[0]), int(extent[1]))
        cv2.ellipse(image, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    elif kind == 1:
        corners = (centre + rng.normal(0, 1, (4, 2)) * extent).astype(np.int32)
        cv2.fillConvexPoly(image, cv2.convexHull(corners), colour)
    elif kind == 2:
        end = centre + (rng.normal(0, 1, 2) * extent * 2).astype(int)
        cv2.line(image, (x, y), tuple(map(int, end)), colour, int(rng.integers(1, 12)))
    else:
        word = "".join(chr(c) for c in rng.integers(65, 91, rng.integers(1, 8)))
        scale, thickness = rng.uniform(0.3, 2), int(rng.integers(1, 4))
        cv2.putText(image, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness)


def occlude(image: np.ndarray, box: np.ndarray, rng: Rng) -> None:
    """Cover up to about a third of a face's box (4,) with a rectangle or ellipse, in place."""
    width, height = box[2] - box[0], box[3] - box[1]
    side = rng.uniform(0.15, 0.5) * min(width, height)
    if side < 2:
        return
    centre = box[:2] + rng.random(2) * (width, height)
    length = side * rng.uniform(1, 2)
    rectangle = cv2.boxPoints(
        ((float(centre[0]), float(centre[1])), (float(side), float(length)), float(rng.uniform(0, 180)))
    )
    mask = np.zeros(image.shape[:2], np.uint8)
    if rng.random() < 0.5:
        cv2.fillConvexPoly(mask, rectangle.astype(np.int32), 1)
    else:
        axes = (max(1, int(side / 2)), max(1, int(length / 2)))
        cv2.ellipse(mask, (int(centre[0]), int(centre[1])), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    if rng.random() < 0.5:
        image[mask > 0] = rng.integers(0, 256, 3)
    else:  # a piece of the same picture: it may be skin-coloured, like a hand
        dy, dx = (int(rng.integers(1, max(2, n))) for n in image.shape[:2])
        image[mask > 0] = np.roll(image, (dy, dx), (0, 1))[mask > 0]
