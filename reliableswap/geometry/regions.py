"""Masks of a face's regions, drawn from its mesh (468,3): (H,W) float32, one inside and zero outside."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np

from .topology import topology

_LIP_EDGE = 0.01  # face widths; a mesh's error along the lips
_FINE_ENOUGH = 4.0  # least sigma, in pixels of the reduced copy, of a blur that is computed on one
_SMALL_DISC = 16  # radius in pixels up to which erosion by a disc is faster than a distance transform
_SHIFT = 4  # fractional bits of polygon corners in OpenCV's fixed-point format


def polygon_mask(points: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) float32, one inside the polygon (N,2)."""
    return union([points], shape_hw).astype(np.float32)


def union(polygons: Iterable[np.ndarray], shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) uint8, one inside any of the polygons (N,2)."""
    mask = np.zeros(shape_hw, np.uint8)
    for points in polygons:
        corners = np.rint(np.asarray(points, np.float64)[:, :2] * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1, shift=_SHIFT)
    return mask


def scaled_ring(points: np.ndarray, factor: float) -> np.ndarray:
    """(N,2) a ring of points scaled about its centre."""
    flat = points[:, :2]
    return flat * factor + flat.sum(0) * ((1 - factor) / len(flat))


def disc(radius: float) -> np.ndarray:
    """A round structuring element of that radius in pixels, at least one."""
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def eroded(mask: np.ndarray, radius: float) -> np.ndarray:
    """(H,W) the binary mask eroded by a disc of that radius in pixels, at least one; the border does not erode it.

    Large radii use a distance transform, whose cost does not depend on the radius: `cv2.erode` takes minutes for a
    large face, but is faster for a small one.
    """
    radius = max(1, round(radius))
    inside = mask.astype(np.uint8)
    if radius <= _SMALL_DISC:
        return cv2.erode(inside, _exact_disc(radius)).astype(np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (distance > radius).astype(np.float32)


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """(H,W) the binary mask dilated by a disc of that radius in pixels, at least one."""
    return 1 - eroded(1 - mask, radius)


@lru_cache(maxsize=_SMALL_DISC)
def _exact_disc(radius: int) -> np.ndarray:
    """The pixels whose centres are at most `radius` from that of the middle one."""
    square = np.square(np.arange(-radius, radius + 1))
    return (square + square[:, None] <= radius**2).astype(np.uint8)


def window(mesh: np.ndarray, shape_hw: tuple[int, int], pad: float) -> tuple[slice, slice]:
    """Rows and columns of the picture that hold the mesh and `pad` pixels around it, at least 8 by 8 where possible."""
    (width, height), low, high = shape_hw[::-1], mesh[:, :2].min(0) - pad, mesh[:, :2].max(0) + pad
    x0, y0 = (int(np.clip(np.floor(v), 0, max(n - 8, 0))) for v, n in zip(low, (width, height), strict=True))
    x1, y1 = (int(np.clip(np.ceil(v) + 1, a + 8, None)) for v, a in zip(high, (x0, y0), strict=True))
    return slice(y0, min(y1, height)), slice(x0, min(x1, width))


def face_width(mesh: np.ndarray) -> float:
    """The distance from cheek to cheek in three dimensions: the width in pixels as seen from the front."""
    return float(np.linalg.norm(mesh[234] - mesh[454]))


def feathered(mask: np.ndarray, sigma: float) -> np.ndarray:
    """(H,W) the mask with its edge blurred by a Gaussian of `sigma` pixels.

    A wide blur is smooth, so it is computed on a reduced copy in a tenth of the time; it differs by less than 0.003.
    """
    if sigma <= 0.25:
        return mask
    k, edge = int(sigma / _FINE_ENOUGH), cv2.BORDER_REPLICATE
    if k < 2:
        return cv2.GaussianBlur(mask, (0, 0), sigma, borderType=edge)
    height, width = mask.shape
    whole = cv2.copyMakeBorder(mask, k, k + -height % k, k, k + -width % k, edge)  # so that cells are whole
    cells = cv2.resize(whole, (whole.shape[1] // k, whole.shape[0] // k), interpolation=cv2.INTER_AREA)
    # Reducing and enlarging blur too: together like a sigma of half a cell.
    soft = cv2.GaussianBlur(cells, (0, 0), float(np.sqrt((sigma / k) ** 2 - 0.25)), borderType=edge)
    return cv2.resize(soft, whole.shape[::-1], interpolation=cv2.INTER_LINEAR)[k : k + height, k : k + width]


def away_from(mask: np.ndarray, reach: float) -> np.ndarray:
    """(H,W) float32 zero on a mask (H,W) and rising smoothly to 1 within `reach` pixels of it."""
    away = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)
    share = np.minimum(away / np.float32(reach), 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def oval(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) the face: the convex hull of its outline, which folds over itself in a profile."""
    return polygon_mask(outline(mesh), shape_hw)


def outline(mesh: np.ndarray) -> np.ndarray:
    """(N,2) float32 the convex hull of the face's outline."""
    return np.asarray(cv2.convexHull(mesh[topology().oval, :2].astype(np.float32))[:, 0])


def inner_mouth(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) what is between the lips, with a narrow edge of them; in a closed mouth, the line where the lips meet."""
    between = polygon_mask(mesh[topology().regions["inner_lips"]], shape_hw)
    return dilated(between, _LIP_EDGE * face_width(mesh))


def mouth_opening(mesh: np.ndarray) -> float:
    """The widest gap between the inner lips as the picture shows it, divided by the mouth's width.

    Measured in the picture and not in depth, in which even closed lips differ; overlapping lips count as closed.
    """
    pairs = ((13, 14), (82, 87), (312, 317))
    down = mesh[152, :2] - mesh[9, :2]
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    gap = max(float((mesh[b, :2] - mesh[a, :2]) @ down) for a, b in pairs)
    return max(gap, 0.0) / max(float(np.linalg.norm(mesh[78] - mesh[308])), 1e-6)


def eyes(mesh: np.ndarray, shape_hw: tuple[int, int], grow: float = 1.0) -> np.ndarray:
    """(H,W) both eyes between the lids, whose rings are scaled by `grow`."""
    return union(eye_rings(mesh, grow), shape_hw).astype(np.float32)


def eye_rings(mesh: np.ndarray, grow: float) -> list[np.ndarray]:
    """(N,2) twice, the rings between the lids, scaled."""
    return [scaled_ring(mesh[ring], grow) for ring in topology().eyes]


def lips(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) the lips and what is between them."""
    return polygon_mask(mesh[topology().regions["lips"]], shape_hw)


def brows(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) both eyebrows."""
    return union(brow_rings(mesh), shape_hw).astype(np.float32)


def brow_rings(mesh: np.ndarray) -> list[np.ndarray]:
    """(N,2) twice, the rings around the eyebrows."""
    return [scaled_ring(mesh[ring], 1.1) for ring in topology().brows]


def skin(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) the face without eyes, brows and mouth."""
    return oval(mesh, shape_hw) * (1 - marks(mesh, shape_hw))


def marks(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) uint8, one on what `skin` leaves out: eyes, brows and mouth."""
    return union([*eye_rings(mesh, 1.3), *brow_rings(mesh), mesh[topology().regions["lips"]]], shape_hw)


def lower_face(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) where a beard grows: from below the nose and the ear lobes to the chin."""
    ring = [93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323]
    return polygon_mask(mesh[[*ring, 425, 327, 2, 98, 205]], shape_hw)


def upper_lip(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) where a moustache grows: between the nose and the mouth's upper outline."""
    nose, outline = [98, 97, 2, 326, 327], [291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61]
    return polygon_mask(mesh[[*nose, *outline]], shape_hw)


def folds(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) where a smile folds the skin: beside nose and mouth and below the lower lip, without the lips."""
    one = np.array([142, 101, 50, 187, 192, 135, 211, 204, 202, 57, 186, 92, 165, 98, 129])
    chin = [202, 204, 211, 201, 200, 421, 431, 424, 422, 335, 406, 313, 18, 83, 182, 106]
    around = union([mesh[one], mesh[topology().mirror[one]], mesh[chin]], shape_hw).astype(np.float32)
    return around * (1 - lips(mesh, shape_hw))


def features(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) the hull of brows, eyes, nose and mouth."""
    above, below = [70, 63, 105, 66, 107, 9, 336, 296, 334, 293, 300], [263, 291, 18, 61, 33]
    return polygon_mask(mesh[[*above, *below]], shape_hw)


def forehead(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) from the upper edges of the brows to the top of the outline, with the temples."""
    top = [127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356]
    return polygon_mask(mesh[[*top, 300, 293, 334, 296, 336, 9, 107, 66, 105, 63, 70]], shape_hw)


def nostrils(mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W) the underside of the nose."""
    return polygon_mask(mesh[[48, 64, 98, 97, 2, 326, 327, 294, 278, 4]], shape_hw)
