"""What covers a face: hair, glasses and things held in front of it, told from the face's own skin.

Each face gives its own skin model: a robust Gaussian in Lab over cheeks, nose and chin, with the light's slope across
the face taken out. What departs from it covers the face, judged more strictly on the forehead and at the temples,
where hair hangs, than in the middle. Brows, eyes and lips are the face's own whatever their colour, and so is dark
hair on the lower face: a beard belongs to the person. What has the skin's own colour, a hand above all, cannot be
told this way.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from . import colour, regions
from .glasses import glasses_probability
from .topology import topology

_WORK = 96.0  # face width in pixels at which covers are looked for
_SAMPLE = [  # rings of points over skin that hair seldom reaches: two cheeks and the nose
    [116, 117, 118, 101, 36, 206, 216, 192, 213, 147, 123],
    [345, 346, 347, 330, 266, 426, 436, 416, 433, 376, 352],
    [6, 122, 3, 51, 48, 4, 278, 281, 248, 351],
]
# Departures from the skin, in its deviations, at which a pixel counts as covered with even odds.
_LIMIT_CENTRE, _LIMIT_FOREHEAD, _LIMIT_SIDE = 5.0, 3.0, 3.2
_BARE_LIMIT = 3.0  # departures up to here are skin tone, shadow and blush
_HIGHLIGHT = 0.5  # skin shines: too bright is half as suspicious as too dark
_FLOOR = np.array([5.0, 2.2, 2.6])  # smallest deviations of L, a, b: grain and JPEG are not hair


@dataclass(frozen=True, eq=False)
class Covers:
    """hidden (H,W) 0..1: something in front of the face. bare (H,W) 0..1: skin, and not hair, a beard or lips.
    glasses 0..1: how likely the face wears some."""

    hidden: np.ndarray
    bare: np.ndarray
    glasses: float


def find_covers(picture: np.ndarray, mesh: np.ndarray) -> Covers:
    """What is in front of the face in a picture (H,W,3) uint8; nothing outside the face's outline."""
    height, width = picture.shape[:2]
    k = min(1.0, _WORK / regions.face_width(mesh))
    if k == 1.0:
        return _find(picture, mesh)
    size = (max(8, round(width * k)), max(8, round(height * k)))
    scale = np.array([size[0] / width, size[1] / height, k], np.float32)
    moved = (mesh + (0.5, 0.5, 0)) * scale - (0.5, 0.5, 0)
    small = _find(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), moved.astype(np.float32))
    hidden, bare = (cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in (small.hidden, small.bare))
    return Covers(hidden, bare, small.glasses)


def _find(picture: np.ndarray, mesh: np.ndarray) -> Covers:
    shape = picture.shape[:2]
    width = regions.face_width(mesh)
    lab = colour.to_lab(picture)
    departure = skin_departure(lab, mesh)
    wears = glasses_probability(picture, mesh)
    if departure is None:
        return Covers(np.zeros(shape, np.float32), regions.skin(mesh, shape), wears)
    face = regions.oval(mesh, shape)
    bare = regions.skin(mesh, shape) * np.clip(_BARE_LIMIT + 0.5 - departure, 0, 1)
    odds = (departure - _limits(mesh, shape, width)) * 2.0
    own = np.maximum(regions.brows(mesh, shape), regions.lips(mesh, shape))
    own = np.maximum(own, np.maximum(regions.eyes(mesh, shape, 1.5), regions.nostrils(mesh, shape)))
    own = regions.soft(cv2.dilate(own, _disc(0.02 * width)), 0.015 * width)
    hair = 1 / (1 + np.exp(-np.clip(odds, -30, 30))) * (1 - own)
    hair *= 1 - regions.lower_face(mesh, shape) * _hairlike(lab)
    hair = cv2.morphologyEx(hair.astype(np.float32), cv2.MORPH_OPEN, _disc(0.012 * width))
    if wears > 0.5:
        hair = np.maximum(hair, _frames(lab, departure, mesh, width))
    hair = regions.soft(hair * face, 0.008 * width).astype(np.float32)
    return Covers(hair, (bare * (1 - hair)).astype(np.float32), wears)


def skin_departure(lab: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
    """(H,W) how many deviations each pixel is from the face's skin; None if too little of the face is there."""
    shape = lab.shape[:2]
    sample = np.zeros(shape, np.float32)
    for ring in _SAMPLE:
        sample = np.maximum(sample, regions.polygon_mask(mesh[ring], shape))
    y, x = np.nonzero(sample)
    if len(x) < 12:
        return None
    centre, unit = mesh[:, :2].mean(0), regions.face_width(mesh)
    terms = np.column_stack([np.ones(len(x)), (x - centre[0]) / unit, (y - centre[1]) / unit])
    pixels = lab[y, x].astype(np.float64)
    keep = np.ones(len(x), bool)
    ridge = np.diag([1e-6, 0.02, 0.02]) * len(x)
    for _ in range(4):
        a = terms[keep]
        plane = np.linalg.solve(a.T @ a + ridge, a.T @ pixels[keep])
        rest = pixels - terms @ plane
        covariance = np.cov(rest[keep].T) + np.diag(_FLOOR**2)
        distance = np.einsum("ni,ij,nj->n", rest, np.linalg.inv(covariance), rest)
        keep = distance <= max(float(np.quantile(distance, 0.6)), 4.0)
    columns = (np.arange(shape[1]) - centre[0]) / unit
    rows = (np.arange(shape[0]) - centre[1]) / unit
    # Past the sample the slope is a guess: it does not go on for ever.
    light = plane[0] + np.clip(columns, -0.4, 0.4)[None, :, None] * plane[1]
    light = light + np.clip(rows, -0.4, 0.4)[:, None, None] * plane[2]
    rest = (lab - light).astype(np.float32)
    rest[..., 0] *= np.where(rest[..., 0] > 0, _HIGHLIGHT, 1.0)
    root = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    return np.linalg.norm(rest.reshape(-1, 3) @ root, axis=1).reshape(shape)


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


def _frames(lab: np.ndarray, departure: np.ndarray, mesh: np.ndarray, width: float) -> np.ndarray:
    """(H,W) 0..1 the glasses of a face that is known to wear some: thin lines, and lenses if they are dark."""
    shape = lab.shape[:2]
    band = regions.eye_band(mesh, shape)
    light = np.ascontiguousarray(lab[..., 0])
    disc = _disc(0.05 * width)
    lines = np.maximum(
        cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, disc), cv2.morphologyEx(light, cv2.MORPH_TOPHAT, disc)
    )
    found = ((lines > 11) | (departure > 4.5)).astype(np.float32) * band
    return regions.soft(cv2.dilate(found, _disc(0.02 * width)), 0.012 * width)


def _disc(radius: float) -> np.ndarray:
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
