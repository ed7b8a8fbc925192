"""What a mesh says of pose, expression and face shape. Lengths are shares of the eye distance."""

from __future__ import annotations

import cv2
import numpy as np

from .expression import expression_difference, expressive_points, frontal, onto_mean_face
from .topology import topology

# Upper lid, lower lid, and the two corners, for the eye on the picture's left and the one on its right.
_EYES = ((159, 145, 33, 133), (386, 374, 362, 263))
_EYE_PATCH = (64, 32)  # width and height, in pixels, of the patch in which the iris is looked for


def rotation_of(mesh: np.ndarray) -> np.ndarray:
    """(3,3) the head's rotation: its rows are where the mean face's own x, y and z axes point in the photo."""
    _, rotation, _ = onto_mean_face(mesh)
    return rotation.T


def pose_of(mesh: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees: to the picture's left, downwards, clockwise."""
    r = rotation_of(mesh)
    yaw = np.arctan2(r[0, 2], np.hypot(r[0, 0], r[0, 1]))
    pitch = np.arctan2(r[1, 2], r[2, 2])
    roll = np.arctan2(r[0, 1], r[0, 0])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def pose_error(mesh: np.ndarray, other: np.ndarray) -> float:
    """Degrees of the one rotation that takes one head's pose to the other's."""
    between = rotation_of(mesh) @ rotation_of(other).T
    # The sine beside the cosine: an arccosine alone has no digits left for small angles.
    skew = between - between.T
    sine = np.linalg.norm([skew[2, 1], skew[0, 2], skew[1, 0]]) / 2
    return float(np.degrees(np.arctan2(sine, (np.trace(between) - 1) / 2)))


def expression_error(result: np.ndarray, target: np.ndarray) -> float:
    """Mean distance of lips, lids and brows, without pose, scale and what the filter takes for another person.

    The result is meant to have another person's proportions; those are first taken back to the target's.
    """
    difference = expression_difference(result, target)
    return float(np.linalg.norm(difference[expressive_points()], axis=1).mean())


def eye_openings(mesh: np.ndarray) -> np.ndarray:
    """(2,) the gap between the lids over the eye's width, for each eye."""
    return np.array([_distance(mesh, up, down) / _distance(mesh, a, b) for up, down, a, b in _EYES])


def mouth_opening(mesh: np.ndarray) -> float:
    """The gap between the inner lips over the mouth's inner width, seen from the front."""
    face = frontal(mesh)[:, :2]  # flat: closed lips have different depths
    return float(max(face[14, 1] - face[13, 1], 0.0) / np.linalg.norm(face[78] - face[308]))


def shape_distance(mesh: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the outlines, seen from the front."""
    oval = topology().oval
    return float(np.linalg.norm((frontal(mesh) - frontal(other))[oval, :2], axis=1).mean())


def gaze_of(image: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """(2,) where the irises are, across and down, as a share of the eye's width from its middle; NaN if shut.

    The 468 points hold no iris, so it is looked for in the photo (H,W,3): the middle of what is darker than
    most of the eye between its lids.
    """
    found = [
        _iris(image, mesh, ring, corners) for ring, (_, _, *corners) in zip(_rings(), _EYES, strict=True)
    ]
    seen = [place for place in found if place is not None]
    return np.mean(seen, axis=0) if seen else np.full(2, np.nan)


def _rings() -> tuple[np.ndarray, np.ndarray]:
    """The lid rings in the order of _EYES."""
    return topology().regions["right_eye"], topology().regions["left_eye"]


def _iris(image: np.ndarray, mesh: np.ndarray, ring: np.ndarray, corners: list[int]) -> np.ndarray | None:
    left, right = (mesh[i, :2].astype(np.float64) for i in corners)
    across = right - left
    width = float(np.linalg.norm(across))
    if width < 4:  # an eye of so few pixels has no gaze that could be read
        return None
    columns, rows = _EYE_PATCH
    scale = 0.8 * columns / width  # the corners lie a tenth of the patch from its sides
    turn = scale * np.array([[across[0], across[1]], [-across[1], across[0]]]) / width
    shift = np.array([(columns - 1) / 2, (rows - 1) / 2]) - turn @ (left + right) / 2
    matrix = np.column_stack([turn, shift])
    patch = cv2.warpAffine(image, matrix, _EYE_PATCH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float64)
    lids = mesh[ring, :2] @ turn.T + shift
    inside = np.zeros((rows, columns), np.uint8)
    cv2.fillPoly(inside, [np.rint(lids * 16).astype(np.int32)], 1, shift=4)
    # The edge is lashes and the lid's shadow.
    inside = cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0)
    if int(inside.sum()) < 40:
        return None
    values = grey[inside > 0]
    dark = np.clip(np.quantile(values, 0.4) - grey, 0, None) * inside
    if dark.sum() < 1e-6:
        return None
    y, x = np.mgrid[:rows, :columns]
    middle = np.array([(dark * x).sum(), (dark * y).sum()]) / dark.sum()
    place: np.ndarray = (middle - [(columns - 1) / 2, (rows - 1) / 2]) / (0.8 * columns)
    return place


def _distance(mesh: np.ndarray, a: int, b: int) -> float:
    return max(float(np.linalg.norm(mesh[a] - mesh[b])), 1e-6)
