"""Photo -> faces: where they are, and their meshes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from reliableswap.models.detector import FaceDetector
from reliableswap.models.landmarks import MeshNet

from .align import apply, crop, inverse, upright
from .face import Detection, Face, five_points


@dataclass(frozen=True)
class SearchSettings:
    """How hard to look. Sizes are pixels of the photo; the network sees faces from about 12 to 320 px."""

    score: float = 0.6  # a face is kept at this score; MeshNet's presence is asked as well
    overlap: float = 0.4  # answers that overlap more than this are one face
    side: int = 640  # the longer side of the photo in the main pass
    tiled_side: int = 2048  # larger photos are also searched in tiles at up to this size; 0: never
    turns: tuple[int, ...] = (
        90,
        180,
        270,
    )  # rotations tried, in degrees, when the upright photo shows no face
    min_size: float = 0.0  # smaller faces are left out
    max_faces: int = 256


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H,W,3) uint8 -> (1,3,H,W) float in [-1,1], channels last."""
    scaled = cv2.addWeighted(image, 1 / 127.5, image, 0.0, -1.0, dtype=cv2.CV_32F)  # in one pass
    return torch.from_numpy(scaled).permute(2, 0, 1)[None]


def find_faces(
    detector: FaceDetector, image: np.ndarray, settings: SearchSettings | None = None
) -> list[Detection]:
    """The faces in an RGB photo (H,W,3), largest first."""
    settings = settings or SearchSettings()
    rows = _search(detector, image, settings)
    if not len(rows):
        for turn in settings.turns:
            rows = _search_turned(detector, image, turn, settings)
            if len(rows):
                break
    faces = [Detection(row[:4], row[4:14].reshape(5, 2), float(row[14])) for row in rows.astype(np.float32)]
    faces = [face for face in faces if face.size >= settings.min_size]
    return sorted(faces, key=lambda face: -face.size)[: settings.max_faces]


def add_meshes(
    landmarks: MeshNet, image: np.ndarray, faces: Sequence[Detection], passes: int = 1
) -> list[Face]:
    """The same faces with their meshes and presence, all crops in one batch.

    A second pass crops again by the mesh of the first: for faces whose five points were rough.
    """
    if not faces:
        return []
    size, scale = landmarks.config["size"], landmarks.config["crop_scale"]
    matrices = [upright(face.points5, size, scale) for face in faces]
    for _ in range(passes):
        crops = torch.cat([to_tensor(crop(image, m, size, cv2.BORDER_CONSTANT)) for m in matrices])
        with torch.inference_mode():
            meshes, presence = landmarks(crops.to(next(landmarks.parameters())))
        photo_meshes = [
            apply(inverse(m), mesh) for m, mesh in zip(matrices, meshes.float().cpu().numpy(), strict=True)
        ]
        matrices = [upright(five_points(mesh), size, scale) for mesh in photo_meshes]
    chances = torch.sigmoid(presence.float()).cpu().numpy()
    return [
        Face(face.box, face.points5, face.score, mesh, float(chance))
        for face, mesh, chance in zip(faces, photo_meshes, chances, strict=True)
    ]


def _search(detector: FaceDetector, image: np.ndarray, settings: SearchSettings) -> np.ndarray:
    """(N,15) box, points, score in photo pixels from all passes over the upright photo."""
    found = [_pass(detector, image, settings.side, settings.score)]
    # Seen small, a face that fills the photo has the size that the network knows best.
    found.append(_pass(detector, image, settings.side * 2 // 5, settings.score))
    longest = max(image.shape[:2])
    if settings.tiled_side and longest > 2 * settings.side:
        found.extend(_tiled(detector, image, settings))
    return merge(np.concatenate(found), settings.overlap)


def _pass(detector: FaceDetector, image: np.ndarray, side: int, score: float) -> np.ndarray:
    """(N,15) the faces seen with the photo's longer side shrunk to `side`; smaller photos stay as they are."""
    scale = min(1.0, side / max(image.shape[:2]))
    if scale < 1:
        size = [max(1, round(n * scale)) for n in image.shape[1::-1]]
        image_seen = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ratio = np.array(image.shape[1::-1]) / size
    else:
        image_seen, ratio = image, np.ones(2)
    height, width = image_seen.shape[:2]
    padded = cv2.copyMakeBorder(
        image_seen, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT, value=(127, 127, 127)
    )
    with torch.inference_mode():
        pixels = to_tensor(padded).to(next(detector.parameters()))
        answers = detector.above(pixels, float(np.log(score / (1 - score))))
    return to_photo(answers.cpu().numpy().astype(np.float64), ratio)


def to_photo(answers: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """(N,15) network answers -> box, points, score, scaled to the photo by the pixel-centre rule."""
    half = np.exp(np.clip(answers[:, 3:5], -5, 10)) / 2
    corners = np.concatenate([answers[:, 1:3] - half, answers[:, 1:3] + half, answers[:, 5:15]], 1)
    corners = (corners + 0.5) * np.tile(ratio, 7) - 0.5
    return np.concatenate([corners, 1 / (1 + np.exp(-answers[:, :1]))], 1)


def _tiled(detector: FaceDetector, image: np.ndarray, settings: SearchSettings) -> Iterator[np.ndarray]:
    """Small faces in a large photo: overlapping tiles, each seen at full size."""
    scale = min(1.0, settings.tiled_side / max(image.shape[:2]))
    width, height = (max(1, round(n * scale)) for n in image.shape[1::-1])
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else image
    ratio = np.array(image.shape[1::-1]) / (width, height)
    for top in _starts(height, settings.side):
        for left in _starts(width, settings.side):
            tile = large[top : top + settings.side, left : left + settings.side]
            rows = _pass(detector, tile, settings.side, settings.score)
            edge = 2.0  # a face cut by an inner edge is whole in the neighbouring tile
            cut = (
                ((rows[:, 0] < edge) & (left > 0))
                | ((rows[:, 1] < edge) & (top > 0))
                | ((rows[:, 2] > tile.shape[1] - 1 - edge) & (left + tile.shape[1] < width))
                | ((rows[:, 3] > tile.shape[0] - 1 - edge) & (top + tile.shape[0] < height))
            )
            rows = rows[~cut]
            rows[:, :14] = (rows[:, :14] + np.tile((left, top), 7) + 0.5) * np.tile(ratio, 7) - 0.5
            # Larger faces are seen whole in the main pass; here a tile would show a part of one.
            yield rows[(rows[:, 2:4] - rows[:, :2]).max(1) <= settings.side / 4 * ratio.max()]


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin, so that they cover the length and overlap by at least a fifth."""
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (side * 0.8))) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _search_turned(
    detector: FaceDetector, image: np.ndarray, turn: int, settings: SearchSettings
) -> np.ndarray:
    """(N,15) faces of the photo turned clockwise by 90, 180 or 270 degrees, in the photo's own pixels."""
    turned = np.ascontiguousarray(np.rot90(image, -turn // 90))
    rows = _search(detector, turned, settings)
    if not len(rows):
        return rows
    height, width = image.shape[:2]
    points = rows[:, :14].reshape(-1, 7, 2)
    x, y = points[..., 0], points[..., 1]
    back = {90: (y, height - 1 - x), 180: (width - 1 - x, height - 1 - y), 270: (width - 1 - y, x)}[turn]
    points = np.stack(back, -1)
    low, high = points[:, :2].min(1), points[:, :2].max(1)
    return np.concatenate([low, high, points[:, 2:].reshape(-1, 10), rows[:, 14:]], 1)


def merge(rows: np.ndarray, overlap: float) -> np.ndarray:
    """(N,15) one row a face: the best answer of each cluster, its place averaged over the answers that agree.

    Answers of neighbouring cells and of several passes err independently, so their weighted mean is steadier
    than the best of them alone.
    """
    rows = rows[np.argsort(-rows[:, 14])]
    kept = []
    while len(rows):
        shared = overlaps(rows[0], rows)
        agree = rows[shared > max(0.6, overlap)]
        weight = agree[:, 14:] ** 2
        best = (agree * weight).sum(0) / weight.sum()
        best[14] = rows[0, 14]
        kept.append(best)
        rows = rows[shared <= overlap]
    return np.stack(kept) if kept else np.zeros((0, 15))


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) overlap of one box with many: intersection over union; a box inside another counts at least half."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.clip(high - low, 0, None).prod(1)
    area, areas = np.prod(box[2:4] - box[:2]), (boxes[:, 2:4] - boxes[:, :2]).prod(1)
    union = shared / np.maximum(area + areas - shared, 1e-9)
    return np.asarray(np.maximum(union, 0.5 * shared / np.maximum(np.minimum(area, areas), 1e-9)))
