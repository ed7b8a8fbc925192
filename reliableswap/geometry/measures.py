"""Pose, expression and face shape measured on meshes (468,3). Lengths are in outer-eye distances of the mean face."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from .shape import shaped_mesh, similarity3d
from .topology import topology

# Upper lid, lower lid and the two corners of the eye on the picture's left, then of the one on its right.
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))
_EYE_PATCH = (64, 32)  # width and height in pixels of the patch in which the iris is looked for
_MIN_EYE_WIDTH = 4.0  # pixels; the gaze of smaller eyes cannot be read
_MIN_EYE_AREA = 40  # patch pixels between the lids; eyes that are more closed have no gaze


@lru_cache(maxsize=1)
def rigid_points() -> np.ndarray:
    """(N,) the points that speech, smiles and blinks leave alone: above the mouth, without eyes and brows."""
    top = topology()
    moving = np.zeros(len(top.canonical), bool)
    for ring in (*top.eyes, *top.brows):
        moving[ring] = True
    return np.flatnonzero(~moving & (top.canonical[:, 1] < top.canonical[2, 1]))


@lru_cache(maxsize=1)
def expressive_points() -> np.ndarray:
    """(N,) the points of the rings that show an expression: lips, lids and brows."""
    top = topology()
    rings = (top.regions["lips"], top.regions["inner_lips"], *top.eyes, *top.brows)
    return np.unique(np.concatenate(rings))


def onto_mean_face(mesh: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """scale, rotation (3,3), shift (3,) of the similarity that aligns a mesh's rigid points with the mean face's.

    Apply it as scale * mesh @ rotation + shift.
    """
    rigid = rigid_points()
    return similarity3d(mesh[rigid], topology().canonical[rigid])


def frontal(mesh: np.ndarray) -> np.ndarray:
    """(468,3) the mesh aligned with the mean face: without pose and scale."""
    scale, rotation, shift = onto_mean_face(mesh)
    return np.asarray(scale * mesh @ rotation + shift)


def rotation_of(mesh: np.ndarray) -> np.ndarray:
    """(3,3) the head's rotation; its rows are the mean face's x, y and z axes in the photo."""
    _, rotation, _ = onto_mean_face(mesh)
    return rotation.T


def pose_of(mesh: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees; positive to the picture's left, downwards, clockwise."""
    r = rotation_of(mesh)
    yaw = np.arctan2(r[0, 2], np.hypot(r[0, 0], r[0, 1]))
    pitch = np.arctan2(r[1, 2], r[2, 2])
    roll = np.arctan2(r[0, 1], r[0, 0])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def pose_error(mesh: np.ndarray, other: np.ndarray) -> float:
    """The angle in degrees of the rotation that takes one head's pose to the other's."""
    between = rotation_of(mesh) @ rotation_of(other).T
    # From sine and cosine: an arccosine alone loses small angles to rounding.
    skew = between - between.T
    sine = np.linalg.norm([skew[2, 1], skew[0, 2], skew[1, 0]]) / 2
    return float(np.degrees(np.arctan2(sine, (np.trace(between) - 1) / 2)))


def expression_difference(mesh: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(468,3) mesh minus other on the mean face, after giving the mesh the other's face shape."""
    as_other = shaped_mesh(mesh.astype(np.float32), other.astype(np.float32), 1.0)
    return frontal(as_other) - frontal(other)


def expression_error(result: np.ndarray, target: np.ndarray) -> float:
    """Mean distance of lips, lids and brows between two meshes, without pose, scale and face shape.

    A swap's result is meant to have another person's face shape, so that difference does not count.
    """
    difference = expression_difference(result, target)
    return float(np.linalg.norm(difference[expressive_points()], axis=1).mean())


def shape_distance(mesh: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the two outlines seen from the front."""
    oval = topology().oval
    return float(np.linalg.norm((frontal(mesh) - frontal(other))[oval, :2], axis=1).mean())


def eye_openings(mesh: np.ndarray) -> np.ndarray:
    """(2,) the gap between the lids divided by the eye's width, for each eye."""
    return np.array([_distance(mesh, up, down) / _distance(mesh, a, b) for up, down, a, b in _EYES])


def mouth_opening(mesh: np.ndarray) -> float:
    """The gap between the inner lips divided by the mouth's inner width, seen from the front."""
    face = frontal(mesh)[:, :2]  # without depth, in which closed lips differ
    return float(max(face[14, 1] - face[13, 1], 0.0) / np.linalg.norm(face[78] - face[308]))


def gaze_of(image: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(2,) x and y of the irises from the eyes' middles, in eye widths, averaged over both eyes; NaN if both are shut.

    The mesh has no iris, so it is located in the photo (H,W,3) uint8, as the centroid of the darkest pixels
    between the lids.
    """
    rings = topology().eyes
    found = [_iris(image, mesh, ring, corners) for ring, (_, _, *corners) in zip(rings, _EYES, strict=True)]
    seen = [place for place in found if place is not None]
    return np.mean(seen, axis=0) if seen else np.full(2, np.nan)


def _iris(image: np.ndarray, mesh: np.ndarray, ring: np.ndarray, corners: list[int]) -> np.ndarray | None:
    """(2,) where one eye's iris is, in eye widths from the eye's middle; None if it can't be seen."""
    left, right = (mesh[i, :2].astype(np.float64) for i in corners)
    across = right - left
    width = float(np.linalg.norm(across))
    if width < _MIN_EYE_WIDTH:
        return None
    columns, rows = _EYE_PATCH
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    scale = 0.8 * columns / width  # the eye's corners lie at a tenth of the patch's width from its sides
    turn = scale * np.array([[across[0], across[1]], [-across[1], across[0]]]) / width
    shift = middle - turn @ (left + right) / 2
    matrix = np.column_stack([turn, shift])
    patch = cv2.warpAffine(image, matrix, _EYE_PATCH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float64)
    inside = _between_lids(mesh[ring, :2] @ turn.T + shift)
    if int(inside.sum()) < _MIN_EYE_AREA:
        return None
    darkness = np.clip(np.quantile(grey[inside > 0], 0.4) - grey, 0, None) * inside
    if darkness.sum() < 1e-6:
        return None
    y, x = np.mgrid[:rows, :columns]
    centroid = np.array([(darkness * x).sum(), (darkness * y).sum()]) / darkness.sum()
    return np.asarray((centroid - middle) / (0.8 * columns))


def _between_lids(ring: np.ndarray) -> np.ndarray:
    """(32,64) uint8 one inside the ring (N,2) of an eye's lids, without its edge of lashes and shadow."""
    columns, rows = _EYE_PATCH
    inside = np.zeros((rows, columns), np.uint8)
    cv2.fillPoly(inside, [np.rint(ring * 16).astype(np.int32)], 1, shift=4)
    return cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0)


def _distance(mesh: np.ndarray, a: int, b: int) -> float:
    return max(float(np.linalg.norm(mesh[a] - mesh[b])), 1e-6)
