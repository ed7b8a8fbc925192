"""Face shape: how the target's mesh would look with the source's proportions, and the picture that fits it.

Two meshes of different people differ by identity, expression, pose and the mesh network's error. With x = b + w (b
the person, w the photo) and both Gaussian, the expected difference of the persons given the difference of two photos
is B (B + W)⁻¹ d. `train_accelerate.py blend-data` (training/person_shape.py) measured B and W, the covariances between
and within people, on 4,928 photos of 1,363 people of Labeled Faces in the Wild (the oddest 2 % left out), each mesh
laid on the mean face by a similarity in three dimensions and counted with its reflection. shape.json holds the filter's
20 strongest modes. On people held out, two photos of one person differ less than photos of two people in 68 % of the
cases, and in 77 % after the filter. What it passes is person more than photo, so most of a smile stays the target's
and the jaw's width comes from the source; what a mouth or an eye is open is the target's altogether.
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
from .topology import POINTS, topology

# The filter's answer is an expectation, shrunk by what one photo cannot tell. This undoes about half of that.
PERSON_GAIN = 1.5
_REACH = 0.45  # the background moves along up to this many face widths from the outline
STILL = 1 / 64  # pixels of displacement that count as none
_FIELD = 40.0  # face width in pixels at which the displacement is worked out; it is smooth


@lru_cache(maxsize=1)
def person_modes() -> tuple[np.ndarray, np.ndarray]:
    """analyse and synthesise (3·468, modes): difference -> modes -> the part of it that is the person."""
    data = json.loads(files("reliableswap.geometry").joinpath("shape.json").read_text("utf-8"))

    def matrix(name: str) -> np.ndarray:
        values = np.frombuffer(base64.b64decode(data[name]), "<f2")
        return values.reshape(3 * POINTS, data["modes"]).astype(np.float64)

    return matrix("analyse"), matrix("synthesise")


def similarity3d(points: np.ndarray, onto: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """scale, rotation (3,3), shift (3,) of the least-squares similarity: onto ≈ scale · points @ rotation + shift."""
    a, b = points.mean(0), onto.mean(0)
    p, q = (points - a).astype(np.float64), (onto - b).astype(np.float64)
    u, s, vt = np.linalg.svd(p.T @ q)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (p * p).sum())
    return scale, rotation, b - scale * a @ rotation


def shaped_mesh(target_mesh: np.ndarray, source_mesh: np.ndarray, strength: float) -> np.ndarray:
    """(468,3) the target's mesh, in its pose and expression, `strength` of the way to the source's proportions."""
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
        # What opens and closes is the photo's: both lips, or both lids, move together.
        one, other = ring[1 : len(ring) // 2], ring[: len(ring) // 2 : -1]
        step[one] = step[other] = (step[one] + step[other]) / 2
    return (target_mesh + (PERSON_GAIN * strength) * step).astype(np.float32)


@lru_cache(maxsize=64)
def _onto_mean_face(mesh: bytes, kind: str) -> tuple[float, np.ndarray, np.ndarray]:
    """The similarity that lays a mesh on the mean face; a face is often asked about many times in a row."""
    return similarity3d(np.frombuffer(mesh, kind).reshape(POINTS, 3), topology().canonical)


def displacement(target_mesh: np.ndarray, goal_mesh: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H,W,2) where each pixel of the reshaped picture comes from, less its own place; zero away from the face.

    Inside the outline the mesh says it. Outside, the outline's displacement runs on and dies out smoothly, so hair,
    ears and background move along and nothing is uncovered.
    """
    height, width = shape_hw
    k = min(1.0, _FIELD / max(face_width(target_mesh), 1.0))
    small = (max(4, round(height * k)), max(4, round(width * k)))
    kx, ky = small[1] / width, small[0] / height
    scaled = (goal_mesh + 0.5) * np.array([kx, ky, kx], np.float32) - 0.5
    step = (target_mesh - goal_mesh)[:, :2]
    field = rasterise(scaled, small).picture(np.column_stack([step, np.ones(POINTS)]))
    *step_planes, inside = cv2.split(field)

    sigma = max(0.06 * face_width(target_mesh) * k, 0.5)
    edge = cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    wide = 2 * round(5 * sigma) + 1
    far = cv2.blur(cv2.blur(field, (wide, wide)), (wide, wide))
    spread = edge + 1e-3 * far
    *spread_planes, mass = cv2.split(spread)
    distance = cv2.distanceTransform((inside < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    t = np.clip(1 - distance / max(_REACH * face_width(target_mesh) * k, 1.0), 0, 1)
    fade = t * t * (3 - 2 * t)
    carry = fade / np.maximum(mass, 1e-9)
    planes = [
        np.where(inside > 0.5, own, outwards * carry)
        for own, outwards in zip(step_planes, spread_planes, strict=True)
    ]
    move = cv2.GaussianBlur(cv2.merge(planes), (0, 0), 0.8)
    move[fade == 0] = 0
    return cv2.resize(move, (width, height), interpolation=cv2.INTER_LINEAR)


def origins(move: np.ndarray, window: tuple[slice, slice] | None = None) -> np.ndarray:
    """(h,w,2) where the pixels of the reshaped photo, or of a window of it, come from."""
    rows, columns = window or (slice(0, move.shape[0]), slice(0, move.shape[1]))
    x = move[rows, columns, 0] + np.arange(columns.start, columns.stop, dtype=np.float32)
    y = move[rows, columns, 1] + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    return cv2.merge([x, y])


def reshape(picture: np.ndarray, move: np.ndarray) -> np.ndarray:
    """(H,W,3) the picture drawn along a displacement (H,W,2); bit-equal where that is zero."""
    dx, dy = cv2.split(move)
    moved = (np.maximum(np.abs(dx), np.abs(dy)) >= STILL).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(moved)
    out = picture.copy()
    if not wide:
        return out
    rows, columns = slice(top, top + high), slice(left, left + wide)
    x = dx[rows, columns] + np.arange(left, left + wide, dtype=np.float32)
    y = dy[rows, columns] + np.arange(top, top + high, dtype=np.float32)[:, None]
    # Not reflected: OpenCV never returns from that on a picture one pixel wide.
    drawn = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    out[rows, columns] = cv2.copyTo(drawn, moved[rows, columns], out[rows, columns])
    return out
