"""Lay a mixture of source and target over the photo, at the photo's own size."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from reliableswap.faces.align import apply, inverse
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.resampling import read_points, to_bytes
from reliableswap.geometry.shape import moved_share, origins, reshape
from reliableswap.geometry.warp import open_lips, reenact
from reliableswap.imaging.bands import three_channels
from reliableswap.swap.guidance import MIRROR_SEAM, SHOWN_VALIDITY
from reliableswap.swap.job import FaceJob
from reliableswap.swap.place import Window

from .crop import enlarged, face_in_crop_window, in_region, whole

_VALID = (0.25, 0.75)  # validity over which a texture fades in
_MIN_FOLDED = 0.02  # share of the target's folds from which thin lines are removed
_LINES = 1.5  # pixels of the crop: the sigma below which lines are fine
_PORES = 2.5  # medians of fine detail up to which it counts as pores
_ROUNDS = 2  # iterations to find the point that a field moves to a given position


def lay(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the mixed face in the photo, with the expression that the layer `expressed` asks for;
    `reshaped`, the target under it; and `placed` (468,3), the mesh of the face in it.

    Each resampling loses fine detail, so each photo is sampled once: the target's by the displacements of shape and
    expression together, and the source's on a mesh moved by the generator's flow and the expression. Only smooth layers
    are enlarged from the crop.
    """
    piece = face_in_crop_window(job) if job.has_finer_detail else whole(job)
    where = in_region(job, piece)
    move = job.layers.get("expressed")
    total, mask = _whole_move(job, move)
    under = reshape(job.target.pixels, total, job.quick, mask, snap=job.snaps_to_pixels)
    alpha = job.layer("alpha")[piece]
    layers = [job.layer(name) for name in ("of_texture", "of_target", "beard")]
    layers.append(job.layers.get("folded", np.zeros_like(layers[0])))
    shares = [enlarged(job, layer, piece) for layer in layers]
    rest = enlarged(job, job.layer("rest"), piece, cv2.INTER_LINEAR)
    if move is not None:
        places = origins(move, where) - np.array([where[1].start, where[0].start], np.float32)
        alpha, *shares, rest = (
            cv2.remap(one, places, None, cv2.INTER_LINEAR) for one in (alpha, *shares, rest)
        )
    of_texture, of_target, beard, folded = shares
    below = under[where].astype(np.float32)
    goal = _goal(job, move)
    face = _texture(job, where, below, beard, folded, goal)
    face *= three_channels(alpha * of_texture)
    face += three_channels(alpha) * rest
    below *= three_channels(1 + alpha * (of_target - 1))
    face += below
    image = under.copy()
    image[where] = to_bytes(face)
    mask[where] = np.maximum(mask[where], alpha)
    image = cv2.copyTo(job.target.pixels, (mask == 0).astype(np.uint8), image)
    return job.with_layers(image=image, mask=mask, reshaped=under, placed=goal)


def _whole_move(job: FaceJob, move: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(H,W,2) the displacement of the target to its goal's shape and then an expression, and (H,W) where it moves."""
    if move is None:
        return job.move, job.moved.copy()
    moves = (moved_share(move, job.quick) > 0).astype(np.float32)
    left, top, width, height = cv2.boundingRect(moves.astype(np.uint8))
    if not width:
        return job.move, job.moved.copy()
    where = slice(top, top + height), slice(left, left + width)
    total = job.move.copy()
    total[where] = move[where] + cv2.remap(job.move, origins(move, where), None, cv2.INTER_LINEAR)
    return total, np.maximum(job.moved, moves)


def _texture(
    job: FaceJob,
    where: Window,
    below: np.ndarray,
    beard: np.ndarray,
    folded: np.ndarray,
    placed: np.ndarray,
) -> np.ndarray:
    """(h,w,3) float32 in a window of the region: the source's texture on a mesh, and `below` where its photo shows
    none."""
    source, place = job.source, job.crop
    covers = source.covers_in_crop(place.size, place.template)
    matrix = source.crop_matrix(place.size, place.template)
    goal = placed - np.array([where[1].start, where[0].start, 0], np.float32)
    texture = reenact(
        source.copies,
        open_lips(source.mesh, job.goal),
        goal,
        rasterise(goal, below.shape[:2]),
        lambda positions: covers.at(cv2.transform(positions, matrix)),
        job.quick,
        MIRROR_SEAM * job.width if job.soft_light else 0.0,
    )
    shown = rising(texture.validity, _VALID)
    if beard.any():
        shown = np.maximum(shown, beard * (texture.validity > SHOWN_VALIDITY))
    found = _without_lines(texture.image.astype(np.float32), folded * shown, 1 / job.crop.scale)
    return np.asarray(below + three_channels(shown) * (found - below), np.float32)


def _without_lines(texture: np.ndarray, folded: np.ndarray, pixel: float) -> np.ndarray:
    """(h,w,3) float32 a texture (h,w,3) without thin lines where folds (h,w) are the target's.

    Folds are computed in the crop, whose pixels are coarser than the photo's. Of finer detail, everything deeper than
    pores is removed. pixel: the photo's pixels per pixel of the crop.
    """
    left, top, across, down = cv2.boundingRect((folded > _MIN_FOLDED).astype(np.uint8))
    if not across:
        return texture
    where = slice(top, top + down), slice(left, left + across)
    share = folded[where]
    fine = texture[where] - cv2.GaussianBlur(texture[where], (0, 0), _LINES * pixel)
    most = max(_PORES * float(np.median(np.abs(fine[share > _MIN_FOLDED]))), 1.0)
    result = texture.copy()
    result[where] += three_channels(share) * (np.clip(fine, -most, most) - fine)
    return result


def _goal(job: FaceJob, move: np.ndarray | None) -> np.ndarray:
    """(468,3) the goal mesh as the texture lies on it: moved by the generator's flow, and by an expression."""
    flow, matrix = job.layer("flow").transpose(1, 2, 0), job.crop.matrix
    k = flow.shape[0] / job.crop.size
    back = inverse(matrix)[:, :2].T * (job.crop.size / 2)

    def flowing(points: np.ndarray) -> np.ndarray:
        return _read(flow, (apply(matrix, points) + np.float32(0.5)) * np.float32(k) - np.float32(0.5)) @ back

    goal = job.goal.copy()
    goal[:, :2] = _preimages(goal[:, :2], flowing)
    if move is not None:
        goal[:, :2] = _preimages(goal[:, :2], lambda points: _read(move, points))
    return goal


def _preimages(points: np.ndarray, step: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(N,2) the positions that a smooth displacement field moves to the points (N,2)."""
    places = points
    for _ in range(_ROUNDS):
        places = points - step(places)
    return places


def _read(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,2) a field (H,W,2) at points (N,2)."""
    return read_points(np.ascontiguousarray(field), points.astype(np.float32), cv2.INTER_LINEAR)
