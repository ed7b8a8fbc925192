"""Mosaics: pictures with many faces of any size and roll, made from photos, some with objects over them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from reliableswap.faces.align import apply
from reliableswap.imaging.degrade import Rng, degrade, draw_shape, occlude, random_texture

SMALLEST = 14.0  # px; smaller faces in a mosaic are neither positives nor negatives


@dataclass(frozen=True, eq=False)
class LabelledFace:
    box: np.ndarray  # (4,)
    points5: np.ndarray  # (5,2)
    certain: bool  # whether the teacher is sure of it; the loss ignores other faces

    def moved(self, matrix: np.ndarray, mirrored: bool) -> LabelledFace:
        """The face under a similarity (2,3); in a mirrored picture the points change sides."""
        points = self.points5[[1, 0, 2, 4, 3]] if mirrored else self.points5
        return LabelledFace(rotated_box(self.box, matrix), apply(matrix, points), self.certain)


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    pixels: np.ndarray  # (H,W,3) uint8 RGB
    faces: list[LabelledFace]


def rotated_box(box: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(4,) the box of a transformed face: the bounds of the ellipse that filled its old box."""
    half = (box[2:] - box[:2]) / 2
    centre = apply(matrix, ((box[:2] + box[2:]) / 2)[None])[0]
    reach = np.sqrt(((matrix[:, :2] * half) ** 2).sum(1))
    return np.concatenate([centre - reach, centre + reach]).astype(np.float32)


def _placement(face: LabelledFace, side: float, roll: float, centre: np.ndarray, mirror: bool) -> np.ndarray:
    """(2,3) photo -> mosaic: puts the face at `centre`, `side` px large and rotated by `roll`."""
    scale = side / max(face.box[2] - face.box[0], face.box[3] - face.box[1])
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
    if mirror:
        matrix[:, 0] *= -1
    matrix[:, 2] = centre - matrix[:, :2] @ ((face.box[:2] + face.box[2:]) / 2)
    return matrix


def _paste(
    canvas: np.ndarray, photo: LabelledPhoto, matrix: np.ndarray, rng: Rng, keep: np.ndarray | None
) -> None:
    """Draw the photo on the canvas (S,S,3) in place, except over `keep` (S,S)."""
    pixels = photo.pixels
    shrink = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink > 1.6:  # bilinear sampling alone would alias
        small = cv2.resize(pixels, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        ratio = np.array([pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]])
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
        matrix[:, :2] = matrix[:, :2] * ratio
        pixels = small
    height, width = pixels.shape[:2]
    mask = np.full((height, width), 255, np.uint8)
    if rng.random() < 0.4:  # a head cut out, not the whole square photo
        mask[:] = 0
        axes = (int(width * rng.uniform(0.38, 0.5)), int(height * rng.uniform(0.42, 0.5)))
        cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, 255, -1)
    x0, y0, x1, y1 = _bounds(pixels, matrix, canvas.shape[0])
    window = matrix - np.array([[0, 0, x0], [0, 0, y0]])
    size = (x1 - x0, y1 - y0)
    warped = cv2.warpAffine(pixels, window, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(mask, window, size) > 127
    if keep is not None:
        cover &= ~keep[y0:y1, x0:x1]
    part = canvas[y0:y1, x0:x1]
    part[cover] = warped[cover]


def _bounds(pixels: np.ndarray, matrix: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """x0 y0 x1 y1 of the photo on a canvas of `size`; at least one pixel."""
    height, width = pixels.shape[:2]
    corners = apply(matrix, np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32))
    x0, y0 = np.clip(np.floor(corners.min(0)), 0, size - 1).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0)) + 1, 1, size).astype(int)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _without_face(photo: LabelledPhoto, rng: Rng) -> np.ndarray:
    """(H,W,3) the photo with every face's blocks shuffled: skin and hair without a face."""
    pixels = photo.pixels.copy()
    for face in photo.faces:
        x0, y0, x1, y1 = np.clip(face.box, 0, 10**6).astype(int)
        part = pixels[y0:y1, x0:x1]
        step = max(4, int(min(part.shape[:2]) / rng.uniform(3, 7)))
        rows, columns = part.shape[0] // step, part.shape[1] // step
        if rows < 2 or columns < 2:
            part[:] = rng.integers(0, 256, 3)
            continue
        blocks = part[: rows * step, : columns * step].reshape(rows, step, columns, step, 3).swapaxes(1, 2)
        blocks = blocks.reshape(rows * columns, step, step, 3)[rng.permutation(rows * columns)]
        part[: rows * step, : columns * step] = (
            blocks.reshape(rows, columns, step, step, 3)
            .swapaxes(1, 2)
            .reshape(rows * step, columns * step, 3)
        )
        part[rows * step :] = part[:, columns * step :] = rng.integers(0, 256, 3)
    return pixels


def _roll(rng: Rng, limit: float) -> float:
    """Draw a roll in radians: mostly near upright, as in photos, and within `limit` degrees."""
    roll = rng.normal(0, np.radians(22)) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    return roll if abs(roll) <= np.radians(limit) else rng.uniform(-1, 1) * np.radians(limit)


def _background(photos: list[LabelledPhoto], size: int, rng: Rng) -> np.ndarray:
    """(size,size,3) uint8 a texture, or a part of the first photo without its faces."""
    if rng.random() < 0.5:
        return random_texture(rng, size)
    pixels = _without_face(photos[0], rng)
    side = int(rng.integers(30, min(pixels.shape[:2])))
    y, x = (int(rng.integers(0, n - side + 1)) for n in pixels.shape[:2])
    piece = cv2.resize(pixels[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.rot90(piece, int(rng.integers(0, 4))))


def mosaic(
    photos: list[LabelledPhoto],
    size: int,
    rng: Rng,
    *,
    strength: float = 1.0,
    largest: float = 1.0,
    roll_limit: float = 180.0,
    background: np.ndarray | None = None,
) -> tuple[np.ndarray, list[LabelledFace]]:
    """Make a picture (size,size,3) uint8 with some of the photos' faces; return it and the faces in it.

    The background is a part of the first photo unless one (size,size,3) is given; some pictures have no face.
    `strength` scales the degradations, `largest` is the largest face as a share of the picture, `roll_limit` bounds
    the rolls in degrees.
    """
    canvas = _background(photos, size, rng) if background is None else background.copy()
    faces: list[LabelledFace] = []
    taken = np.zeros((size, size), bool)
    chosen = _choose_sizes(photos, size, rng, largest)
    for photo, side in sorted(chosen, key=lambda item: -item[1]):
        placement = _find_placement(photo, side, taken, rng, roll_limit)
        if placement is None:
            continue
        matrix, placed = placement
        # No face may be covered by another photo: `keep` protects those on the canvas, and further faces of this photo
        # that they would cover are left out.
        _paste(canvas, photo, matrix, rng, keep=taken)
        for face in [one for one in placed if not _touches(one.box, taken)]:
            faces.append(face)
            x0, y0, x1, y1 = np.clip(face.box, 0, size).astype(int)
            margin = int(0.1 * side)
            taken[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin] = True
    for face in faces:
        if rng.random() < 0.2 * strength:
            occlude(canvas, face.box, rng)
    if rng.random() < 0.2:
        for _ in range(int(rng.integers(1, 4))):
            draw_shape(canvas, rng, reach=0.08)
    return degrade(canvas, rng, strength), [face for face in faces if _visible(face.box, size)]


def _choose_sizes(
    photos: list[LabelledPhoto], size: int, rng: Rng, largest: float
) -> list[tuple[LabelledPhoto, float]]:
    """Choose photos and their faces' sizes in px: none, one large face with small ones, or faces of any size."""
    kind = rng.random()
    if kind < 0.08:
        return []
    if kind < 0.4:
        chosen = [(photos[1], rng.uniform(0.3, largest) * size)]
        small = photos[2 : 2 + rng.integers(0, 6)]
        return chosen + [(photo, np.exp(rng.uniform(np.log(12), np.log(60)))) for photo in small]
    return [(photo, np.exp(rng.uniform(np.log(12), np.log(0.5 * size)))) for photo in photos[1:]]


def _find_placement(
    photo: LabelledPhoto, side: float, taken: np.ndarray, rng: Rng, roll_limit: float
) -> tuple[np.ndarray, list[LabelledFace]] | None:
    """Find a place for the photo: its best face mostly visible, and where nothing is taken (S,S).

    Return the matrix (2,3) and the photo's faces there, or None.
    """
    face, mirror, roll = photo.faces[0], bool(rng.random() < 0.5), _roll(rng, roll_limit)
    size = taken.shape[0]
    for _ in range(8):
        matrix = _placement(face, side, roll, rng.uniform(0.02, 0.98, 2) * size, mirror)
        placed = [one.moved(matrix, mirror) for one in photo.faces]
        box = placed[0].box
        x0, y0, x1, y1 = np.clip(box, 0, size).astype(int)
        inside = (x1 - x0) * (y1 - y0) / max(1.0, float(np.prod(box[2:] - box[:2])))
        if inside > 0.75 and not taken[y0:y1, x0:x1].any():
            return matrix, placed
    return None


def _touches(box: np.ndarray, taken: np.ndarray) -> bool:
    x0, y0, x1, y1 = np.clip(box, 0, taken.shape[0]).astype(int)
    return bool(taken[y0:y1, x0:x1].any())


def _visible(box: np.ndarray, size: int) -> bool:
    return bool(box[2] > 2 and box[3] > 2 and box[0] < size - 2 and box[1] < size - 2)
