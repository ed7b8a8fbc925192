"""Find what covers a face by colour.

A skin model is fitted to each face: a robust Gaussian in Lab over cheeks, nose and chin, with a linear lighting
gradient across the face removed. Pixels far from the model count as covered; the limit is lower on the forehead and at
the temples, where hair hangs. Brows, eyes and lips belong to the face whatever their colour, and so does dark hair on
the lower face: a beard is part of the person. The model cannot detect covers of skin colour, such as a hand; for those
over the mouth, a classifier detects that the mouth is missing.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.geometry.topology import topology
from reliableswap.imaging import colour

from .looks import MOUTH

_SAMPLE = [  # rings of mesh points around skin that hair seldom reaches: two cheeks and the nose
    [116, 117, 118, 101, 36, 206, 216, 192, 213, 147, 123],
    [345, 346, 347, 330, 266, 426, 436, 416, 433, 376, 352],
    [6, 122, 3, 51, 48, 4, 278, 281, 248, 351],
]
# Distances from the skin model, in its standard deviations, at which a pixel is covered with probability 0.5.
_LIMIT_CENTRE, _LIMIT_FOREHEAD, _LIMIT_SIDE = 5.0, 3.0, 3.2
_BARE_LIMIT = 3.0  # smaller distances are skin tone, shadow and blush
_HIGHLIGHT = 0.6  # factor on the distance of pixels brighter than the model: skin shines
_MOUTH_MISSING = (-1.0, -2.0)  # classifier scores between which a mouth goes from visible to covered
_MOUTH_MISSING_STRICT = (-2.0, -3.0)  # leaving out a source's mouth costs the most likeness
_PROFILE = 0.5  # sine of the yaw from which the mouth classifier is not used
_TURNED = 0.3  # sine of the yaw from which the head counts as turned
_COVERED = 0.3  # a pixel covered by more than this belongs to a cover's shape
_SURE = 1.6  # a cover has a pixel that exceeds the limit by this factor; shadows seldom do
_FLOOR = np.array([5.0, 2.2, 2.6])  # least standard deviations of L, a, b: grain and JPEG noise are not hair


class Colours:
    """Values that the strict and the normal search for covers share, each computed on first use.

    picture: (H,W,3) uint8. mouth: the log odds that the mouth is visible; None: compute them.
    """

    def __init__(self, picture: np.ndarray, mesh: np.ndarray, mouth: float | None = None) -> None:
        self.picture, self.mesh, self._mouth = picture, mesh, mouth
        self.shape, self.width = picture.shape[:2], regions.face_width(mesh)

    @cached_property
    def lab(self) -> np.ndarray:
        return colour.to_lab(self.picture)

    @cached_property
    def distance(self) -> np.ndarray | None:
        return skin_distance(self.lab, self.mesh)

    @cached_property
    def face(self) -> np.ndarray:
        return regions.oval(self.mesh, self.shape)

    @cached_property
    def limits(self) -> np.ndarray:
        return _limits(self.mesh, self.shape, self.width)

    @cached_property
    def mouth(self) -> float:
        return MOUTH.score(self.picture, self.mesh) if self._mouth is None else self._mouth

    @cached_property
    def hair(self) -> np.ndarray:
        """(H,W) the probability that a pixel is not skin; needs a `distance`."""
        assert self.distance is not None
        log_odds = (self.distance - self.limits) * 2.0
        return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))

    @cached_property
    def features(self) -> np.ndarray:
        """(H,W) brows, eyes and lips, which belong to the face whatever their colour."""
        brows = free_brows(self.hair, self.mesh, self.shape, self.width)
        own = np.maximum(brows, regions.lips(self.mesh, self.shape))
        return np.maximum(own, regions.eyes(self.mesh, self.shape, 1.5))

    @cached_property
    def beard(self) -> np.ndarray:
        return regions.lower_face(self.mesh, self.shape) * hairlike(self.lab)

    @cached_property
    def skin(self) -> np.ndarray:
        """(H,W) skin by its tone; needs a `distance`."""
        assert self.distance is not None
        return regions.skin(self.mesh, self.shape) * np.clip(_BARE_LIMIT + 0.5 - self.distance, 0, 1)


def covered_by_colour(seen: Colours, worn: np.ndarray, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    """(H,W), (H,W) `hidden` and `skin` of a face, as in visibility.Covers; worn: (H,W) its glasses."""
    mesh, shape, width, face = seen.mesh, seen.shape, seen.width, seen.face
    if seen.distance is None:
        worn = worn * face
        return worn, regions.skin(mesh, shape) * (1 - worn)
    own, beard = seen.features, seen.beard
    turned = abs(mesh[234, 2] - mesh[454, 2]) > _TURNED * width
    if not (strict and turned):  # beside a turned nose, the background would be taken for a nostril
        own = np.maximum(own, regions.nostrils(mesh, shape))
    own = regions.feathered(cv2.dilate(own, regions.disc(0.02 * width)), 0.015 * width)
    if strict and turned:
        # At the outline of a turned head, dark pixels may be the background.
        beard = beard * cv2.erode(face, regions.disc(0.04 * width))
    hair = seen.hair * (1 - own) * (1 - beard)
    hair = cv2.morphologyEx(hair.astype(np.float32), cv2.MORPH_OPEN, regions.disc(0.012 * width))
    hair = _from_outside(hair, seen.distance > _SURE * seen.limits, face, width)
    if strict:  # include the shadow that glasses cast
        hair = cv2.dilate(hair, regions.disc(0.015 * width))
        worn = cv2.dilate(worn, regions.disc(0.02 * width))
    hair = np.maximum(hair, worn)
    hair = np.maximum(hair, _over_mouth(seen, _MOUTH_MISSING_STRICT if strict else _MOUTH_MISSING))
    hair = regions.feathered(hair * face, 0.008 * width)
    return hair, seen.skin * (1 - hair)


def _from_outside(hair: np.ndarray, sure: np.ndarray, face: np.ndarray, width: float) -> np.ndarray:
    """(H,W) the covers that cross the outline, as hair, hats and hands do, and are more than a faint shadow."""
    count, pieces = cv2.connectedComponents((hair * face > _COVERED).astype(np.uint8))
    inner = cv2.erode(face, regions.disc(0.04 * width), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    kept = np.zeros(count, np.float32)
    kept[np.intersect1d(pieces[(inner == 0) & (face > 0)], pieces[sure])] = 1
    kept[0] = 0
    return hair * cv2.dilate(kept[pieces], regions.disc(1))


def _over_mouth(seen: Colours, limits: tuple[float, float]) -> np.ndarray:
    """(H,W) the face below the nose where no mouth is visible: a hand, a cup or a microphone is in front of it.

    A hand has the colour of skin, so the skin model cannot detect it. Zero for profiles.
    """
    mesh, shape, width = seen.mesh, seen.shape, seen.width
    if abs(mesh[234, 2] - mesh[454, 2]) > _PROFILE * width:
        return np.zeros(shape, np.float32)
    high, low = limits
    missing = float(np.clip((high - seen.mouth) / (high - low), 0, 1))
    if missing == 0:
        return np.zeros(shape, np.float32)
    return missing * regions.feathered(regions.lower_face(mesh, shape), 0.03 * width)


def free_brows(hair: np.ndarray, mesh: np.ndarray, shape: tuple[int, int], width: float) -> np.ndarray:
    """(H,W) the brows that are not under a fringe: those with skin above them."""
    out = np.zeros(shape, np.float32)
    up = mesh[9, :2] - mesh[168, :2]
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    for ring in topology().brows:
        brow = regions.scaled_ring(mesh[ring], 1.1)
        above = regions.polygon_mask(brow + 0.09 * width * up, shape)
        covered = float((hair * above).sum() / max(float(above.sum()), 1.0))
        out = np.maximum(out, regions.polygon_mask(brow, shape) * np.clip((0.75 - covered) / 0.3, 0, 1))
    return out


def skin_distance(lab: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
    """(H,W) each pixel's distance from the skin model in standard deviations; None if too little skin is visible."""
    shape = lab.shape[:2]
    sample = np.zeros(shape, np.float32)
    for ring in _SAMPLE:
        sample = np.maximum(sample, regions.polygon_mask(mesh[ring], shape))
    y, x = np.nonzero(sample)
    if len(x) < 12:
        return None
    step = 1 + len(x) // 500  # 500 pixels are enough for a plane and a covariance
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
    # Beyond the sampled skin the lighting gradient is a guess, so limit it.
    columns, rows = np.clip(columns, -0.4, 0.4), np.clip(rows, -0.4, 0.4)[:, None]
    light = [flat + columns * across + rows * down for flat, across, down in plane.T.astype(np.float32)]
    rest = [seen - lit for seen, lit in zip(cv2.split(lab), light, strict=True)]
    bright = np.clip(rest[0] * np.float32(1 / _FLOOR[0]), 0, 1)
    root = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)  # lower triangular
    square = sum(sum(root[i, j] * rest[i] for i in range(j, 3)) ** 2 for j in range(3))
    return np.sqrt(square) * (1 - (1 - _HIGHLIGHT) * bright)


def _limits(mesh: np.ndarray, shape: tuple[int, int], width: float) -> np.ndarray:
    """(H,W) the distance from the skin model at which a pixel counts as covered."""
    ring = mesh[topology().oval, :2]
    middle = regions.polygon_mask(regions.scaled_ring(ring, 0.72), shape)
    limits = _LIMIT_SIDE + (_LIMIT_CENTRE - _LIMIT_SIDE) * regions.feathered(middle, 0.06 * width)
    forehead = regions.feathered(regions.forehead(mesh, shape), 0.03 * width)
    return limits + forehead * (_LIMIT_FOREHEAD - limits)


def hairlike(lab: np.ndarray) -> np.ndarray:
    """(H,W) one where a pixel is dark and pale enough for a beard."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    return ((lab[..., 0] < 70) & (chroma < 32)).astype(np.float32)
