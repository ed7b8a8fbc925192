"""Find the faces in a photo with a FaceDetector, and their meshes with a MeshNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from reliableswap.runtime.arrays import ArrayDetector, ArrayNetwork

from .activations import sigmoid
from .align import apply, crop, inverse, to_planes, upright
from .face import Detection, Face, five_points

_VIEW = 192  # pixels; the side of the views of a second look
_LOOKS = ((48, False), (72, True), (110, False))  # the face's size in each view, and whether it is mirrored
_NEVER = -6.0  # lower logits count as this one
_SAME = 0.4  # a detection in a view that overlaps the face by more than this is the face
_CONVINCING = 1.0  # the least mean logit over the looks, if another face is sure
_POSSIBLE = -0.5  # the same if no face is sure
_TINY_DIVISORS = (
    6,
    8,
)  # divisors of `side` for the last passes, which run if no pass before found a sure face
_WHOLE = 0.5  # detections that overlap more than this have one size; a part of a face overlaps it less
_LARGEST = 224  # pixels: larger faces in the main pass must agree with a detection in a smaller copy
_SAME_FACE = 0.75  # overlap from which two detections agree
_LARGE = 0.2  # of the photo's longer side: a face of this size or more is best found in a small copy
_PART = 0.25  # a doubtful detection that overlaps a sure one by more than this is a part of it


@dataclass(frozen=True)
class SearchSettings:
    """How thoroughly to search. Sizes are in pixels; the network finds faces of about 12 to 320 px.

    score: the least score of a face. sure: detections below this score get a closer second look; 0 turns it off.
    overlap: detections that overlap more than this are one face. side: the photo's longer side in the main pass.
    fine_side: photos of more than twice `side` are also searched for small faces, with their longer side reduced to
    this; 0 turns it off. turns: clockwise rotations in degrees to try when no face is found in the upright photo.
    min_size: smaller faces, in photo pixels, are left out. max_faces: keep at most this many, the largest ones.
    """

    score: float = 0.6
    sure: float = 0.9
    overlap: float = 0.4
    side: int = 640
    fine_side: int = 2048
    turns: tuple[int, ...] = (90, 180, 270)
    min_size: float = 0.0
    max_faces: int = 256


def find_faces(
    detector: ArrayDetector, image: np.ndarray, settings: SearchSettings | None = None
) -> list[Detection]:
    """Return the faces in an RGB photo (H,W,3) uint8, largest first."""
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


def find_large_face(
    detector: ArrayDetector, image: np.ndarray, settings: SearchSettings | None = None
) -> Detection | None:
    """Return the largest face of an RGB photo (H,W,3) uint8 if it is large and the detector is sure of it in a small
    copy; else None, and `find_faces` has to search. Takes a fraction of the time of `find_faces`.
    """
    settings = settings or SearchSettings()
    rows = merge(_pass(detector, image, _small_side(settings), settings.score), settings.overlap)
    if not len(rows):
        return None
    row = rows[_sides(rows).max(1).argmax()].astype(np.float32)
    face = Detection(row[:4], row[4:14].reshape(5, 2), float(row[14]))
    sure = face.score >= settings.sure and face.size >= max(_LARGE * max(image.shape[:2]), settings.min_size)
    return face if sure else None


def add_meshes(
    landmarks: ArrayNetwork, image: np.ndarray, faces: Sequence[Detection], passes: int = 1
) -> list[Face]:
    """Return the detections with their meshes and presence; all crops run in one batch.

    Each further pass crops by the mesh of the one before, which is more accurate than a detector's five points.
    """
    if not faces:
        return []
    size, scale = landmarks.config["size"], landmarks.config["crop_scale"]
    matrices = [upright(face.points5, size, scale) for face in faces]
    for _ in range(passes):
        crops = [to_planes(crop(image, m, size, cv2.BORDER_CONSTANT)) for m in matrices]
        meshes, presence = landmarks(np.concatenate(crops))
        photo_meshes = [apply(inverse(m), mesh) for m, mesh in zip(matrices, meshes, strict=True)]
        matrices = [upright(five_points(mesh), size, scale) for mesh in photo_meshes]
    return [
        Face(face.box, face.points5, face.score, mesh, float(probability))
        for face, mesh, probability in zip(faces, photo_meshes, sigmoid(presence), strict=True)
    ]


def _search(detector: ArrayDetector, image: np.ndarray, settings: SearchSettings) -> np.ndarray:
    """(N,15) box, points, score in photo pixels from all passes over the unturned photo."""
    longest = max(image.shape[:2])
    found = [_pass(detector, image, settings.side, settings.score)]
    # In a smaller copy, a face that fills the photo has the size that the network detects best; in the main pass, half
    # of it may look more like a face than the whole. A photo that small already was searched at its own size.
    if longest > _small_side(settings):
        small = _pass(detector, image, _small_side(settings), settings.score)
        most = _LARGEST * max(1.0, longest / settings.side)
        found = [_small_or_agreed(rows, most, small) for rows in found] + [small]
    if longest > settings.side // 4 and not any((rows[:, 14] >= settings.sure).any() for rows in found):
        # A face that fills the whole photo is still too large there; its eyes and mouth look like small faces.
        found.append(_pass(detector, image, settings.side // 4, settings.score))
    if settings.fine_side and longest > 2 * settings.side:
        found.append(_small_faces(detector, image, settings))
    rows = merge(np.concatenate(found), settings.overlap)
    for side in (settings.side // part for part in _TINY_DIVISORS):
        # The parts of a wrinkled face look like small faces too. A tiny copy shows no wrinkles.
        if longest > side and not (rows[:, 14] >= settings.sure).any():
            rows = merge(_with_rough(rows, _pass(detector, image, side, settings.score)), settings.overlap)
    return _without_doubtful(detector, image, rows, settings)


def _small_or_agreed(rows: np.ndarray, most: float, others: np.ndarray) -> np.ndarray:
    """(M,15) the detections (N,15) of up to `most` pixels, and the larger ones that agree with one of others (K,15)."""
    agreed = [(overlaps(row, others) > _SAME_FACE).any() for row in rows]
    return rows[(_sides(rows).max(1) <= most) | np.array(agreed, bool)]


def _with_rough(rows: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """(M,15) detections (N,15) and rough ones (K,15); where both agree, keep the first, with the better score."""
    rows = rows.copy()
    for row in rough[np.argsort(-rough[:, 14])]:
        same = overlaps(row, rows) > _WHOLE
        if same.any():
            rows[same, 14] = np.maximum(rows[same, 14], row[14])
        else:
            rows = np.concatenate([rows, row[None]])
    return rows


def _small_side(settings: SearchSettings) -> int:
    """The longer side of the small copy in pixels."""
    return settings.side * 2 // 5


def _pass(detector: ArrayDetector, image: np.ndarray, side: int, score: float) -> np.ndarray:
    """(N,15) the detections with the photo's longer side reduced to `side`; smaller photos are not enlarged."""
    scale = min(1.0, side / max(image.shape[:2]))
    if scale < 1:
        size = [max(1, round(n * scale)) for n in image.shape[1::-1]]
        reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ratio = np.array(image.shape[1::-1]) / size
    else:
        reduced, ratio = image, np.ones(2)
    height, width = reduced.shape[:2]
    padded = cv2.copyMakeBorder(
        reduced, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT, value=(127, 127, 127)
    )
    answers = detector.above(to_planes(padded), float(np.log(score / (1 - score))))
    return to_photo(answers.astype(np.float64), ratio)


def to_photo(answers: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """(N,15) the detector's outputs -> (N,15) box, points, score, in pixels of a photo `ratio` times as large."""
    half = np.exp(np.clip(answers[:, 3:5], -5, 10)) / 2
    corners = np.concatenate([answers[:, 1:3] - half, answers[:, 1:3] + half, answers[:, 5:15]], 1)
    corners = (corners + 0.5) * np.tile(ratio, 7) - 0.5
    return np.concatenate([corners, 1 / (1 + np.exp(-answers[:, :1]))], 1)


def _small_faces(detector: ArrayDetector, image: np.ndarray, settings: SearchSettings) -> np.ndarray:
    """(N,15) the faces of a large photo that are too small for the main pass."""
    rows = _pass(detector, image, settings.fine_side, settings.score)
    ratio = max(1.0, max(image.shape[:2]) / settings.fine_side)
    return rows[_sides(rows).max(1) <= settings.side / 4 * ratio]


def _without_doubtful(
    detector: ArrayDetector, image: np.ndarray, rows: np.ndarray, settings: SearchSettings
) -> np.ndarray:
    """(M,15) the sure detections, and those others that a second look confirms and that are no part of a kept one.

    On large photos, buttons, knees and cups get scores up to 0.87. At other sizes their scores fall, and those of most
    faces do not. Beards and sunglasses lower them too, so if nothing is sure, the largest detection only has to be
    possible.
    """
    kept = list(rows[rows[:, 14] >= settings.sure])
    doubtful = rows[rows[:, 14] < settings.sure]
    for row in doubtful[np.argsort(-_sides(doubtful).max(1))]:
        part = len(kept) and (overlaps(row, np.stack(kept)) > _PART).any()
        if not part and _second_look(detector, image, row) >= (_CONVINCING if kept else _POSSIBLE):
            kept.append(row)
    return np.stack(kept) if kept else rows[:0]


def _second_look(detector: ArrayDetector, image: np.ndarray, row: np.ndarray) -> float:
    """Return the mean logit of a detection (15,) over square views around it that show the face at different sizes."""
    sides, middle = _sides(row), (row[:2] + row[2:4]) / 2
    logits = []
    for size, mirrored in _LOOKS:
        scale = size / sides.max()
        matrix = np.column_stack([scale * np.eye(2), (_VIEW - 1) / 2 - scale * middle])
        view = crop(image, matrix, _VIEW)
        if mirrored:
            view = np.ascontiguousarray(view[:, ::-1])
        answers = detector.above(to_planes(view), _NEVER).astype(np.float64)
        half = scale * sides / 2
        here = (
            overlaps((_VIEW - 1) / 2 + np.concatenate([-half, half]), to_photo(answers, np.ones(2))) > _SAME
        )
        logits.append(answers[here, 0].max(initial=_NEVER))
    return float(np.mean(logits))


def _search_turned(
    detector: ArrayDetector, image: np.ndarray, turn: int, settings: SearchSettings
) -> np.ndarray:
    """(N,15) the detections in the photo turned clockwise by 90, 180 or 270 degrees, in unturned photo pixels."""
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
    """(N,15) one row per face: the best score of each cluster of detections, and the mean box and points.

    The mean is weighted by the squared scores of all detections that agree. Neighbouring cells and separate passes err
    independently, so it is more accurate than the best detection alone.
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


def _sides(boxes: np.ndarray) -> np.ndarray:
    """(...,2) width and height of (...,4 or more) boxes."""
    return boxes[..., 2:4] - boxes[..., :2]


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of a box (4,) and boxes (N,4 or more); at least 0.5 for a box inside another."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    shared = np.clip(high - low, 0, None).prod(1)
    area, areas = np.prod(box[2:4] - box[:2]), (boxes[:, 2:4] - boxes[:, :2]).prod(1)
    union = shared / np.maximum(area + areas - shared, 1e-9)
    return np.asarray(np.maximum(union, 0.5 * shared / np.maximum(np.minimum(area, areas), 1e-9)))
