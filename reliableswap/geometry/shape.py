"""Face shape: the target's mesh with the source's proportions, and the picture warped to fit it.

Meshes of two photos differ by person, expression, pose and the mesh network's error. Take a photo's mesh as x = b + w,
with b from the person and w from the photo, both Gaussian with covariances B and W. Given the difference d of two
meshes, the expected difference of the two persons is then B (B + W)^-1 d: a linear filter. `tools/person_shape.py`
fitted B and W on 4,928 photos of 1,363 people of Labeled Faces in the Wild, with each mesh laid on the mean face by a
3D similarity and counted together with its reflection; the 2 % of photos furthest from the mean were left out.
shape.json holds the filter's 20 strongest modes. For people outside the fit, two photos of one person differ
less than photos of two people in 68 % of cases without the filter and in 77 % with it. Most of a smile stays the
target's and the jaw's width becomes the source's; how far mouth and eyes are open is always the target's.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from importlib.resources import files

import cv2
import numpy as np

from .raster import rasterise
from .regions import face_width
from .resampling import interpolation_for, put, read_points
from .topology import POINTS, topology

# The filter gives an expectation, shrunk by what one photo cannot tell; this undoes about half of the shrinkage.
PERSON_GAIN = 1.5
MIN_MOVE = 1 / 64  # pixels; smaller displacements count as none
_SEAM = 4.0  # least pixels over which a displacement drawn to whole pixels passes to the next
_STRAIN_CELL = 4  # side in pixels of the cells in which a displacement's rate of change is measured
_MAX_POWER = 12.0  # largest power that draws fractions towards whole pixels
_REACH = 0.45  # face widths from the outline over which the background moves along
_FIELD_WIDTH = 40.0  # the face's width in pixels at which the displacement is computed: it is smooth


@lru_cache(maxsize=1)
def person_modes() -> tuple[np.ndarray, np.ndarray]:
    """analyse, synthesise (3*468, modes): the person's part of a mesh difference d is synthesise @ (analyse.T @ d)."""
    data = json.loads(files("reliableswap.geometry").joinpath("shape.json").read_text("utf-8"))

    def matrix(name: str) -> np.ndarray:
        values = np.frombuffer(base64.b64decode(data[name]), "<f2")
        return values.reshape(3 * POINTS, data["modes"]).astype(np.float64)

    return matrix("analyse"), matrix("synthesise")


def similarity3d(points: np.ndarray, onto: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """scale, rotation (3,3), shift (3,) that take points (N,3) onto others by scale * points @ rotation + shift.

    The least-squares similarity.
    """
    a, b = points.mean(0), onto.mean(0)
    p, q = (points - a).astype(np.float64), (onto - b).astype(np.float64)
    u, s, vt = np.linalg.svd(p.T @ q)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (p * p).sum())
    return scale, rotation, b - scale * a @ rotation


def shaped_mesh(target_mesh: np.ndarray, source_mesh: np.ndarray, strength: float) -> np.ndarray:
    """(468,3) the target's mesh in its own pose and expression, `strength` of the way to the source's proportions."""
    if strength == 0:
        return target_mesh
    scale, rotation, shift = _onto_mean_face(target_mesh.tobytes(), target_mesh.dtype.str)
    source_scale, source_rotation, source_shift = _onto_mean_face(
        source_mesh.tobytes(), source_mesh.dtype.str
    )
    target_form = scale * target_mesh @ rotation + shift
    source_form = source_scale * source_mesh @ source_rotation + source_shift
    analyse, synthesise = person_modes()
    person = synthesise @ (analyse.T @ (source_form - target_form).reshape(-1))
    step = person.reshape(POINTS, 3) @ rotation.T / scale
    for ring in (topology().regions["inner_lips"], *topology().eyes):
        # Opposite points of both lips, or both lids, move together, so that the opening stays the target's.
        one, other = ring[1 : len(ring) // 2], ring[: len(ring) // 2 : -1]
        step[one] = step[other] = (step[one] + step[other]) / 2
    return (target_mesh + (PERSON_GAIN * strength) * step).astype(np.float32)


@lru_cache(maxsize=64)
def _onto_mean_face(mesh: bytes, kind: str) -> tuple[float, np.ndarray, np.ndarray]:
    """The similarity from a mesh, given as bytes, to the mean face; cached: a face is often used several times."""
    return similarity3d(np.frombuffer(mesh, kind).reshape(POINTS, 3), topology().canonical)


def displacement(target_mesh: np.ndarray, goal_mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W,2) float32 what to add to each pixel's position to sample the target's picture reshaped to the goal mesh.

    Inside the outline it follows from the meshes. Outside, the outline's displacement fades out smoothly, so that
    hair, ears and background move along and nothing is uncovered; it is zero away from the face.
    """
    height, width = shape_hw
    k = min(1.0, _FIELD_WIDTH / max(face_width(target_mesh), 1.0))
    small = (max(4, round(height * k)), max(4, round(width * k)))
    kx, ky = small[1] / width, small[0] / height
    scaled = (goal_mesh + 0.5) * np.array([kx, ky, kx], np.float32) - 0.5
    step = (target_mesh - goal_mesh)[:, :2]
    field = rasterise(scaled, small).picture(np.column_stack([step, np.ones(POINTS)]))
    return cv2.resize(
        _faded_outside(field, face_width(target_mesh) * k), (width, height), interpolation=cv2.INTER_LINEAR
    )


def _faded_outside(field: np.ndarray, width: float) -> np.ndarray:
    """(H,W,2) a displacement known inside the face, continued outside; field (H,W,3): x, y, and one inside the face."""
    *step_planes, inside = cv2.split(field)
    sigma = max(0.06 * width, 0.5)
    edge = cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    box = (2 * round(5 * sigma) + 1,) * 2
    far = cv2.blur(cv2.blur(field, box), box)
    *spread_planes, mass = cv2.split(edge + 1e-3 * far)
    distance = cv2.distanceTransform((inside < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    t = np.clip(1 - distance / max(_REACH * width, 1.0), 0, 1)
    fade = t * t * (3 - 2 * t)
    weight = fade / np.maximum(mass, 1e-9)
    planes = [
        np.where(inside > 0.5, own, spread * weight)
        for own, spread in zip(step_planes, spread_planes, strict=True)
    ]
    move = cv2.GaussianBlur(cv2.merge(planes), (0, 0), 0.8)
    move[fade == 0] = 0
    return move


def origins(move: np.ndarray, window: tuple[slice, slice] | None = None) -> np.ndarray:
    """(h,w,2) float32 the positions that a displacement (H,W,2) samples, of all pixels or of a window of them."""
    rows, columns = window or (slice(0, move.shape[0]), slice(0, move.shape[1]))
    x = move[rows, columns, 0] + np.arange(columns.start, columns.stop, dtype=np.float32)
    y = move[rows, columns, 1] + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    return cv2.merge([x, y])


def moved_share(move: np.ndarray, quick: bool = False) -> np.ndarray:
    """(H,W) float32 how far a displacement (H,W,2) moves pixels along its longer axis, capped at one pixel; zero
    where that is less than MIN_MOVE.

    quick: for a frame of a clip, in which the limit is four times as large.
    """
    least = np.float32(4 * MIN_MOVE if quick else MIN_MOVE)
    far = np.minimum(cv2.max(*cv2.split(np.abs(move))), np.float32(1))
    return cv2.threshold(far, float(np.nextafter(least, np.float32(0))), 0, cv2.THRESH_TOZERO)[1]


def snap_to_pixels(move: np.ndarray) -> np.ndarray:
    """(H,W,2) a displacement whose fractions of a pixel are drawn towards whole pixels.

    Sampling between pixels blurs, most of all halfway. Here neighbourhoods move by whole pixels, and between two of
    them the picture is stretched over at least `_SEAM` pixels. So a displacement is drawn less, the faster it changes.
    """
    height, width = move.shape[:2]
    k = _STRAIN_CELL
    size = max(1, width // k), max(1, height // k)
    strain = np.zeros(size[::-1], np.float32)
    for plane in cv2.split(cv2.resize(move, size, interpolation=cv2.INTER_AREA)):  # a displacement is smooth
        for dx, dy in ((1, 0), (0, 1)):
            slope = cv2.Sobel(plane, cv2.CV_32F, dx, dy, scale=1 / (8 * k), borderType=cv2.BORDER_REPLICATE)
            strain = cv2.max(strain, np.abs(slope))
    # A fraction t of half a pixel becomes t ** power, whose steep part must be wide enough.
    steep = np.clip(np.float32(_SEAM) * strain, 1e-3, 0.5)
    power = np.minimum(np.float32(-np.log(2)) / np.log1p(-steep), np.float32(_MAX_POWER))
    power = cv2.resize(power, (width, height), interpolation=cv2.INTER_LINEAR)
    drawn = []
    for plane in cv2.split(move):
        whole = np.rint(plane)
        fraction = plane - whole
        share = cv2.max(cv2.absdiff(fraction, 0.0), 1e-6)
        share *= np.float32(2)
        share = cv2.exp(cv2.log(share) * power)  # several times as fast as NumPy's power
        drawn.append(whole + np.copysign(share, fraction) * np.float32(0.5))
    return cv2.merge(drawn)


def reshape(
    picture: np.ndarray,
    move: np.ndarray,
    quick: bool = False,
    share: np.ndarray | None = None,
    snap: bool = False,
) -> np.ndarray:
    """(H,W,3) uint8 the picture warped by a displacement (H,W,2); bit-identical where that is negligible.

    quick: as for `resampling.interpolation_for` and `moved_share`. share: the result of moved_share, if known.
    snap: apply `snap_to_pixels` to the displacement; in a clip that would flicker.
    """
    moves = (moved_share(move, quick) if share is None else share) > 0
    left, top, width, height = cv2.boundingRect(moves.view(np.uint8))
    where = slice(top, top + height), slice(left, left + width)
    warped, moved = picture.copy(), np.flatnonzero(moves[where])
    if len(moved):
        if snap:
            move, window = snap_to_pixels(move[where]), (slice(0, height), slice(0, width))
            places = origins(move, window) + np.array([left, top], np.float32)
        else:
            places = origins(move, where)
        positions = places.reshape(-1, 2).take(moved, axis=0)
        piece = picture[where].copy()
        put(piece, moved, read_points(picture, positions, interpolation_for(picture.shape, quick)))
        warped[where] = piece
    return warped
