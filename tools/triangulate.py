"""Triangles for the 468 mesh points: a Delaunay triangulation of half the face whose edges follow the named rings.

The points are projected onto a vertical cylinder and unrolled, so that neither nose nor cheeks fold over, with the
mouth wide open, so that the lips are apart. RINGS, the points that outline each feature in MediaPipe's numbering, is
the only input that is not computed from photos.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from reliableswap.errors import ReliableSwapError
from tools.mean_face import reflected

# Each ring in order. Right is the person's right, at the left of the picture.
RINGS: dict[str, list[int]] = {
    "oval": [
        10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
        152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
    ],
    "lips": [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185],
    "inner_lips": [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191],
    "right_eye": [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
    "left_eye": [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
    "right_brow": [46, 53, 52, 65, 55, 107, 66, 105, 63, 70],
    "left_brow": [276, 283, 282, 295, 285, 336, 296, 334, 293, 300],
}  # fmt: skip
_ALONG_EDGES = ("oval", "lips", "inner_lips", "right_eye", "left_eye")  # brows are areas, not folds
_UPPER_LIP, _LOWER_LIP = 13, 14
_OPEN = 0.05  # share of the photos whose mouths count as wide open
_AXIS = 0.15  # eye distances from the face's deepest point back to the cylinder's axis
_SHRINK = 0.05  # the inner lips shrink by this share: points beside them may lie exactly on their line

Triangle = tuple[int, int, int]
Edge = tuple[int, int]


def open_face(forms: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(468,3) the symmetric mean of the widest open mouths among aligned faces (N,468,3)."""
    gap = np.linalg.norm(forms[:, _UPPER_LIP] - forms[:, _LOWER_LIP], axis=1)
    widest = np.argsort(-gap, kind="stable")[: max(1, round(_OPEN * len(forms)))]
    mean = forms[widest].mean(0)
    return (mean + reflected(mean, mirror)) / 2


def triangulate(face: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """(T,3) triangles, clockwise on the screen, of a symmetric face (468,3) with its mouth open."""
    axis = face[:, 2].max() + _AXIS
    flat = np.column_stack([np.arctan2(face[:, 0], axis - face[:, 2]), face[:, 1]])
    midline = mirror == np.arange(len(face))
    rim = RINGS["inner_lips"]
    flat[rim] += _SHRINK * (flat[rim].mean(0) - flat[rim])
    flat[midline, 0] = 0
    half = np.flatnonzero((flat[:, 0] > 0) | midline)
    triangles: list[Triangle] = [
        (int(half[a]), int(half[b]), int(half[c])) for a, b, c in delaunay(flat[half])
    ]
    inside_half = set(half.tolist())
    for name in _ALONG_EDGES:
        ring = RINGS[name]
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            if a in inside_half and b in inside_half:
                force_edge(triangles, a, b, flat)
    outline = flat[RINGS["oval"]].astype(np.float32)
    kept = [
        t for t in triangles if _within(flat[list(t)].mean(0), outline) and abs(_area(*flat[list(t)])) > 1e-7
    ]
    twins = [(int(mirror[a]), int(mirror[b]), int(mirror[c])) for a, b, c in kept]
    both = [_clockwise(t, flat) for t in kept + twins]
    border = {edge for edge, owners in edges_of(both).items() if len(owners) == 1}
    mouth = sum(set(t) <= set(rim) for t in both)
    ring = RINGS["oval"]
    stray = border ^ {_edge(a, b) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)}
    if stray or len({i for t in both for i in t}) != len(face) or mouth != len(rim) - 2:
        raise ReliableSwapError(
            f"the mean face does not triangulate: {len(stray)} edges of its border are not the outline, and "
            f"{mouth} of {len(rim) - 2} triangles lie between the lips; label more photos, some with open mouths"
        )
    return np.array(sorted(both))


def delaunay(points: np.ndarray) -> list[Triangle]:
    """The Delaunay triangles of points (N,2), as their indices."""
    size = 1000 / np.ptp(points)
    placed = ((points - points.min(0)) * size).astype(np.float32)
    far = 10**6  # corners of OpenCV's outer triangle, too far to take part
    plane = cv2.Subdiv2D((-far, -far, 2 * far, 2 * far))
    number = {tuple(p): i for i, p in enumerate(placed.tolist())}
    if len(number) < len(points):
        raise ReliableSwapError(
            f"{len(points) - len(number)} mesh points coincide with others; label more photos"
        )
    for x, y in placed.tolist():
        plane.insert((x, y))
    corners = [[number.get(tuple(c)) for c in t.reshape(3, 2).tolist()] for t in plane.getTriangleList()]
    return [(a, b, c) for a, b, c in corners if a is not None and b is not None and c is not None]


def force_edge(triangles: list[Triangle], a: int, b: int, flat: np.ndarray) -> None:
    """Flip edges of the triangulation, in place, until a-b is one of them; flat (N,2) are the points."""
    edges = edges_of(triangles)
    crossing = deque(e for e, owners in edges.items() if len(owners) == 2 and _cross(a, b, *e, flat))
    for _ in range(1000):
        if not crossing:
            return
        edge = crossing.popleft()
        first, second = edges_of(triangles)[edge]
        p, q = ((set(triangles[k]) - set(edge)).pop() for k in (first, second))
        if not _cross(p, q, *edge, flat):  # not convex yet: other flips come first
            crossing.append(edge)
            continue
        triangles[first], triangles[second] = (p, q, edge[0]), (p, q, edge[1])
        if _cross(a, b, p, q, flat):
            crossing.append(_edge(p, q))
    raise ReliableSwapError(
        f"no edge flips produce the edge {a}-{b}; label more photos, some with open mouths"
    )


def edges_of(triangles: list[Triangle]) -> dict[Edge, list[int]]:
    """The triangles of every edge, as indices."""
    owners: dict[Edge, list[int]] = {}
    for k, (a, b, c) in enumerate(triangles):
        for edge in (_edge(a, b), _edge(b, c), _edge(c, a)):
            owners.setdefault(edge, []).append(k)
    return owners


def _edge(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


def _area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _cross(a: int, b: int, c: int, d: int, flat: np.ndarray) -> bool:
    """Whether the segments a-b and c-d cross between their ends."""
    if {a, b} & {c, d}:
        return False
    pa, pb, pc, pd = flat[[a, b, c, d]]
    return _area(pa, pb, pc) * _area(pa, pb, pd) < 0 and _area(pc, pd, pa) * _area(pc, pd, pb) < 0


def _within(point: np.ndarray, outline: np.ndarray) -> bool:
    return cv2.pointPolygonTest(outline, (float(point[0]), float(point[1])), False) > 0


def _clockwise(triangle: Triangle, flat: np.ndarray) -> Triangle:
    a, b, c = triangle
    if _area(*flat[[a, b, c]]) < 0:
        b, c = c, b
    k = int(np.argmin((a, b, c)))
    return ((a, b, c), (b, c, a), (c, a, b))[k]
