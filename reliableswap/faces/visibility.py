"""What covers a face: hair, glasses and things held in front of it, told from the face's own skin.

Each face gives its own skin model: a robust Gaussian in Lab over cheeks, nose and chin, with the light's slope across
the face taken out. What departs from it covers the face, judged more strictly on the forehead and at the temples,
where hair hangs, than in the middle. Brows, eyes and lips are the face's own whatever their colour, and so is dark
hair on the lower face: a beard belongs to the person. What has the skin's own colour, a hand above all, cannot be
told this way; over the mouth it is told by the mouth that is missing. Glasses are too thin for it, and a small network
tells them (glasses.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.topology import topology
from reliableswap.imaging import colour

from . import glasses
from .looks import GLASSES, MOUTH

_WORK = 64.0  # face width in pixels at which covers are looked for
_SAMPLE = [  # rings of points over skin that hair seldom reaches: two cheeks and the nose
    [116, 117, 118, 101, 36, 206, 216, 192, 213, 147, 123],
    [345, 346, 347, 330, 266, 426, 436, 416, 433, 376, 352],
    [6, 122, 3, 51, 48, 4, 278, 281, 248, 351],
]
# Departures from the skin, in its deviations, at which a pixel counts as covered with even odds.
_LIMIT_CENTRE, _LIMIT_FOREHEAD, _LIMIT_SIDE = 5.0, 3.0, 3.2
_BARE_LIMIT = 3.0  # departures up to here are skin tone, shadow and blush
_HIGHLIGHT = 0.6  # skin shines: too bright is less suspicious than too dark
_MOUTH_MISSING = (-1.0, -2.0)  # scores between which a mouth goes from seen to covered
_MOUTH_MISSING_STRICT = (-2.0, -3.0)  # a source's mouth that is left out costs the most likeness
_PROFILE = 0.5  # sine of the yaw
_WEARS = 0.3  # rimless glasses score low
_TURNED = 0.3  # sine of the yaw
_SEEN = 0.3  # hidden by more than this belongs to a cover's shape
_SURE = 1.6  # a cover's darkest departs from the skin by this many times the limit; a shadow's seldom does
_FLOOR = np.array([5.0, 2.2, 2.6])  # smallest deviations of L, a, b: grain and JPEG are not hair


@dataclass(frozen=True, eq=False)
class Covers:
    """What was found on one face, on a small copy of its surroundings.

    maps (h,w,2) 0..1: `hidden`, something is in front of the face; `bare`, skin and not hair, a beard or lips. Both
    are zero outside the face. A position p of the picture is (p + 0.5) * scale + shift on the maps. glasses: the frames
    and dark lenses of one that wears some, beside the face as well.
    """

    maps: np.ndarray
    scale: float
    shift: np.ndarray
    glasses: glasses.Glasses

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H,W), (H,W) hidden and bare at positions (H,W,2) of the picture."""
        hidden, bare = cv2.split(cv2.remap(self.maps, self._on_maps(positions), None, cv2.INTER_LINEAR))
        return hidden, bare

    def _on_maps(self, positions: np.ndarray) -> np.ndarray:
        k, (x, y) = self.scale, self.shift
        return cv2.transform(positions, np.array([[k, 0, x + 0.5 * k], [0, k, y + 0.5 * k]]))

    def on(self, shape_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """(H,W), (H,W) hidden and bare over the whole picture."""
        k = self.scale
        matrix = np.array([[k, 0, self.shift[0] + 0.5 * k], [0, k, self.shift[1] + 0.5 * k]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        hidden, bare = cv2.split(cv2.warpAffine(self.maps, matrix, shape_hw[::-1], flags=flags))
        return hidden, bare


def find_covers(picture: np.ndarray, mesh: np.ndarray, strict: bool = False) -> Covers:
    """What is in front of the face in a picture (H,W,3) uint8.

    A strict look takes a wider edge, and is right for a source: hair that is let in shows as a stain on the target.
    Skin that is left out costs likeness, though: it is filled from the target. So a mouth must be missing for certain.
    """
    piece, moved, scale, corner = _small_copy(picture, mesh)
    # Frames are too thin for the small copy.
    worn = glasses.find(picture, mesh) if _wears_glasses(piece, moved) else glasses.NONE
    hidden, bare = _find(piece, moved, worn.on(piece.shape[:2], scale, corner), strict)
    return Covers(np.dstack([hidden, bare]), scale, corner - 0.5, worn)


def find_glasses(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(H,W) 0..1 the glasses that the face in a picture (H,W,3) uint8 wears; quick for those without any."""
    piece, moved, *_ = _small_copy(picture, mesh)
    if not _wears_glasses(piece, moved):
        return np.zeros(picture.shape[:2], np.float32)
    return glasses.find(picture, mesh).on(picture.shape[:2])


def _small_copy(picture: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """A face's surroundings as they are looked at, the mesh in them, and the scale and shift that lead there."""
    height, width = picture.shape[:2]
    pad = 0.06 * regions.face_width(mesh)
    x0, y0 = np.clip(np.floor(mesh[:, :2].min(0) - pad), 0, (width - 4, height - 4)).astype(int)
    x1, y1 = np.clip(np.ceil(mesh[:, :2].max(0) + pad), (x0 + 4, y0 + 4), (width, height)).astype(int)
    piece = picture[y0:y1, x0:x1]
    k = min(1.0, _WORK / regions.face_width(mesh))
    if k < 1:
        size = (max(4, round((x1 - x0) * k)), max(4, round((y1 - y0) * k)))
        piece = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
    moved = (mesh - np.array([x0 - 0.5, y0 - 0.5, 0])) * k - np.array([0.5, 0.5, 0])
    return piece, moved.astype(np.float32), k, -np.array([x0, y0]) * k


def _wears_glasses(picture: np.ndarray, mesh: np.ndarray) -> bool:
    return float(1 / (1 + np.exp(-GLASSES.score(picture, mesh)))) > _WEARS


def _find(
    picture: np.ndarray, mesh: np.ndarray, worn: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray]:
    shape = picture.shape[:2]
    width = regions.face_width(mesh)
    lab = colour.to_lab(picture)
    departure = skin_departure(lab, mesh)
    if departure is None:
        worn = worn * regions.oval(mesh, shape)
        return worn, regions.skin(mesh, shape) * (1 - worn)
    face = regions.oval(mesh, shape)
    bare = regions.skin(mesh, shape) * np.clip(_BARE_LIMIT + 0.5 - departure, 0, 1)
    limits = _limits(mesh, shape, width)
    odds = (departure - limits) * 2.0
    hair = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    own = np.maximum(_free_brows(hair, mesh, shape, width), regions.lips(mesh, shape))
    own = np.maximum(own, regions.eyes(mesh, shape, 1.5))
    turned = abs(mesh[234, 2] - mesh[454, 2]) > _TURNED * width
    if not (strict and turned):  # a turned nose stands before the background, which would pass for a nostril
        own = np.maximum(own, regions.nostrils(mesh, shape))
    own = regions.soft(cv2.dilate(own, regions.disc(0.02 * width)), 0.015 * width)
    beard = regions.lower_face(mesh, shape) * _hairlike(lab)
    if strict and turned:
        # At the outline of a turned head it may as well be what lies behind it.
        beard *= cv2.erode(face, regions.disc(0.04 * width))
    hair *= (1 - own) * (1 - beard)
    hair = cv2.morphologyEx(hair.astype(np.float32), cv2.MORPH_OPEN, regions.disc(0.012 * width))
    hair = _from_outside(hair, departure > _SURE * limits, face, width)
    if strict:  # glasses with the shadow they throw
        hair = cv2.dilate(hair, regions.disc(0.015 * width))
        worn = cv2.dilate(worn, regions.disc(0.02 * width))
    hair = np.maximum(hair, worn)
    hair = np.maximum(
        hair, _over_mouth(picture, mesh, width, _MOUTH_MISSING_STRICT if strict else _MOUTH_MISSING)
    )
    hair = regions.soft(hair * face, 0.008 * width)
    return hair, bare * (1 - hair)


def _from_outside(hair: np.ndarray, sure: np.ndarray, face: np.ndarray, width: float) -> np.ndarray:
    """(H,W) less the pieces that are no cover: hair, hats and hands come in over the outline, and shadows are faint."""
    count, pieces = cv2.connectedComponents((hair * face > _SEEN).astype(np.uint8))
    inner = cv2.erode(face, regions.disc(0.04 * width), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    kept = np.zeros(count, np.float32)
    kept[np.intersect1d(pieces[(inner == 0) & (face > 0)], pieces[sure])] = 1
    kept[0] = 0
    return hair * cv2.dilate(kept[pieces], regions.disc(1))


def _over_mouth(
    picture: np.ndarray, mesh: np.ndarray, width: float, scores: tuple[float, float]
) -> np.ndarray:
    """(H,W) the face below the nose if no mouth is seen there: a hand, a cup or a microphone is in front of it.

    A hand has the skin's colour, so no pixel tells it; that the mouth is missing does. A profile's mouth looks like
    none, and is not judged.
    """
    shape = picture.shape[:2]
    if abs(mesh[234, 2] - mesh[454, 2]) > _PROFILE * width:
        return np.zeros(shape, np.float32)
    high, low = scores
    missing = float(np.clip((high - MOUTH.score(picture, mesh)) / (high - low), 0, 1))
    if missing == 0:
        return np.zeros(shape, np.float32)
    return missing * regions.soft(regions.lower_face(mesh, shape), 0.03 * width)


def _free_brows(hair: np.ndarray, mesh: np.ndarray, shape: tuple[int, int], width: float) -> np.ndarray:
    """(H,W) the brows that can be told from a fringe: those with skin above them."""
    out = np.zeros(shape, np.float32)
    up = mesh[9, :2] - mesh[168, :2]
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    for ring in topology().brows:
        brow = regions.grown(mesh[ring], 1.1)
        above = regions.polygon_mask(brow + 0.09 * width * up, shape)
        covered = float((hair * above).sum() / max(float(above.sum()), 1.0))
        out = np.maximum(out, regions.polygon_mask(brow, shape) * np.clip((0.75 - covered) / 0.3, 0, 1))
    return out


def skin_departure(lab: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
    """(H,W) how many deviations each pixel is from the face's skin; None if too little of the face is there."""
    shape = lab.shape[:2]
    sample = np.zeros(shape, np.float32)
    for ring in _SAMPLE:
        sample = np.maximum(sample, regions.polygon_mask(mesh[ring], shape))
    y, x = np.nonzero(sample)
    if len(x) < 12:
        return None
    step = 1 + len(x) // 500  # enough for nine numbers of a plane and six of a covariance
    y, x = y[::step], x[::step]
    centre, unit = mesh[:, :2].mean(0), regions.face_width(mesh)
    terms = np.column_stack([np.ones(len(x)), (x - centre[0]) / unit, (y - centre[1]) / unit])
    pixels = lab[y, x].astype(np.float64)
    keep = np.ones(len(x), bool)
    ridge = np.diag([1e-6, 0.02, 0.02]) * len(x)
    for _ in range(3):
        a = terms[keep]
        plane = np.linalg.solve(a.T @ a + ridge, a.T @ pixels[keep])
        rest = pixels - terms @ plane
        kept = rest[keep]
        covariance = kept.T @ kept / len(kept) + np.diag(_FLOOR**2)
        distance = ((rest @ np.linalg.inv(covariance)) * rest).sum(1)
        keep = distance <= max(float(np.partition(distance, (n := len(x) * 3 // 5))[n]), 4.0)
    columns = ((np.arange(shape[1]) - centre[0]) / unit).astype(np.float32)
    rows = ((np.arange(shape[0]) - centre[1]) / unit).astype(np.float32)
    # Past the sample the slope is a guess: it does not go on for ever.
    columns, rows = np.clip(columns, -0.4, 0.4), np.clip(rows, -0.4, 0.4)[:, None]
    light = [flat + columns * across + rows * down for flat, across, down in plane.T.astype(np.float32)]
    rest = [seen - lit for seen, lit in zip(cv2.split(lab), light, strict=True)]
    bright = np.clip(rest[0] * np.float32(1 / _FLOOR[0]), 0, 1)
    root = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)  # lower triangular
    square = sum(sum(root[i, j] * rest[i] for i in range(j, 3)) ** 2 for j in range(3))
    return np.sqrt(square) * (1 - (1 - _HIGHLIGHT) * bright)


def _limits(mesh: np.ndarray, shape: tuple[int, int], width: float) -> np.ndarray:
    """(H,W) the departure at which a pixel counts as covered."""
    ring = mesh[topology().oval, :2]
    middle = regions.polygon_mask(regions.grown(ring, 0.72), shape)
    limits = _LIMIT_SIDE + (_LIMIT_CENTRE - _LIMIT_SIDE) * regions.soft(middle, 0.06 * width)
    forehead = regions.soft(regions.forehead(mesh, shape), 0.03 * width)
    return limits + forehead * (_LIMIT_FOREHEAD - limits)


def _hairlike(lab: np.ndarray) -> np.ndarray:
    """(H,W) one where a pixel is no brighter than skin and no more colourful: what a beard may look like."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    return ((lab[..., 0] < 70) & (chroma < 32)).astype(np.float32)
