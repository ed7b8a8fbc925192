"""Draw a source's beard beyond the jaw, where its mesh ends and a full beard does not."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from reliableswap.faces.align import apply
from reliableswap.faces.parts import Parts
from reliableswap.geometry import regions
from reliableswap.geometry.jaw import between_rings, jaw, on_rays, reach_factor
from reliableswap.geometry.measures import pose_of
from reliableswap.geometry.ramps import rising
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.resampling import interpolation_for, put, read_points, to_bytes
from reliableswap.geometry.trust import scale_between
from reliableswap.geometry.warp import Sampler
from reliableswap.imaging.bands import three_channels
from reliableswap.swap.beard import CELLS_PER_RAY, BeyondJaw
from reliableswap.swap.job import FaceJob

# Distances from the jaw in face widths, and the opacity of a beard there. It begins inside the jaw, because the mesh's
# texture fades out before the outline.
_RINGS = (-0.13, -0.09, 0.0, 0.12, 0.25, 0.4)
_SHOWN = (0.0, 1.0, 1.0, 1.0, 1.0, 0.0)
# Distances at which the source is judged.
_CELLS = tuple(np.linspace(_RINGS[1], _RINGS[-1], CELLS_PER_RAY).tolist())
_INSIDE = (-0.17, -0.14, -0.11)  # distances at which the texture is checked for a beard
_POSES = (12.0, 20.0)  # degrees between poses over which it fades out: a throat seen from below is no beard
_FIRM = (0.15, 0.85)  # confidence over which a pixel goes from transparent to opaque
_SOFT = 0.004  # of the face's width: the soft edge of hairs
_LIGHT = 0.1  # face widths: the scale at which light on the beard inside the jaw is continued outside


def beard_beyond(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: with a bearded source's beard below the jaw of a target that has none."""
    goal, source, parts = job.layer("placed"), job.source.mesh, job.source.parts
    begins = _begins(job, goal)
    if parts is None or not begins.any():
        return job
    picture = job.source.copies.at_scale(scale_between(source, goal))
    goes_on = 1 - float(rising(_pose_difference(source, goal), _POSES))
    beard = _judged(picture, parts, source, begins, goes_on)
    ring = on_rays(goal, _RINGS).reshape(-1, 2)
    where = regions.window(ring, job.target.shape, 2)
    corner = np.array([where[1].start, where[0].start], np.float32)
    shape = job.image[where].shape[:2]
    raster = rasterise(
        np.column_stack([ring - corner, np.zeros(len(ring))]), shape, between_rings(len(_RINGS))
    )
    column, row, shown, free = raster.interpolate(_places())
    shown *= 1 - job.class_probability("background", where).ravel()[raster.pixels] * (1 - free)
    certain = shown * read_points(beard.reach, np.column_stack([column, row]), cv2.INTER_LINEAR)
    raster, certain = raster.only(certain > 0), certain[certain > 0]
    if not len(certain):
        return job
    x, y, *change = raster.interpolate(
        np.column_stack([on_rays(source, _RINGS).reshape(-1, 2), _change(job, goal)])
    )
    hair = picture.at(np.column_stack([x, y]), interpolation_for(shape, job.quick))
    alpha = raster.plane(rising(certain * beard.likeness(hair), _FIRM))
    alpha = regions.feathered(alpha, _SOFT * job.width) * np.float32(job.settings.likeness)
    alpha *= 1 - job.class_probability("front", where)
    below = job.image[where].astype(np.float32)
    drawn = below.copy()
    put(drawn, raster.pixels, _lit(hair, np.column_stack(change), beard.mean))
    image, mask = job.image.copy(), job.mask.copy()
    image[where] = to_bytes(below + three_channels(alpha) * (drawn - below))
    mask[where] = np.maximum(mask[where], alpha)
    return job.with_layers(image=image, mask=mask)


def _judged(
    picture: Sampler, parts: Parts, mesh: np.ndarray, begins: np.ndarray, goes_on: float
) -> BeyondJaw:
    """The beard of a source with a mesh (468,3); begins, goes_on: as for BeyondJaw."""
    cells = on_rays(mesh, _CELLS)
    colours = picture.at(cells.reshape(-1, 2), cv2.INTER_LINEAR).reshape(*cells.shape[:2], 3)
    return BeyondJaw(parts, cells, np.array(_CELLS) >= 0, colours, begins, goes_on)


def _begins(job: FaceJob, goal: np.ndarray) -> np.ndarray:
    """(R,) float32, how far the texture inside the jaw shows a beard that may continue, for each ray."""
    if not job.layer("beard").any():
        return np.zeros(len(jaw()), np.float32)
    inside = apply(job.crop.matrix, on_rays(goal, _INSIDE).reshape(-1, 2))
    shown = read_points(job.layer("beard"), inside, cv2.INTER_LINEAR).reshape(len(_INSIDE), -1).max(0)
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(shown[None]), (3, 1), 0)[0], np.float32)


def _pose_difference(mesh: np.ndarray, other: np.ndarray) -> float:
    """The difference of two poses in degrees; yaw counts half, and roll does not count."""
    (yaw, pitch, _), (other_yaw, other_pitch, _) = pose_of(mesh), pose_of(other)
    return float(np.hypot((yaw - other_yaw) / 2, pitch - other_pitch))


@lru_cache(maxsize=1)
def _places() -> np.ndarray:
    """(rings * R, 4) for the rings' points: column and row in the plane of cells, a beard's opacity, and how far it may
    hang in front of the background."""
    columns = np.tile(np.arange(len(jaw())), len(_RINGS))
    rows = np.interp(_RINGS, _CELLS, np.arange(CELLS_PER_RAY))
    of_rings = np.repeat(np.column_stack([rows, _SHOWN]), len(jaw()), axis=0)
    free = (np.array(_RINGS)[:, None] >= 0) * reach_factor()
    return np.column_stack([columns, of_rings, free.ravel()]).astype(np.float32)


def _change(job: FaceJob, goal: np.ndarray) -> np.ndarray:
    """(rings * R, 3) what the target's light adds to the beard inside the jaw."""
    beard, sigma = job.layer("beard"), _LIGHT * job.width * job.crop.scale
    weight = cv2.GaussianBlur(beard, (0, 0), sigma) + 1e-4
    change = cv2.GaussianBlur(job.layer("toned") * three_channels(beard), (0, 0), sigma) / weight[..., None]
    places = apply(job.crop.matrix, on_rays(goal, _RINGS[:1])[0])
    return np.tile(read_points(change, places, cv2.INTER_LINEAR), (len(_RINGS), 1))


def _lit(colours: np.ndarray, change: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(N,3) float32 colours (N,3) of a beard in another light, which changes its mean (3,) by `change` (N,3).

    Darker hair changes less, in proportion; so it does not take the light's tint.
    """
    return np.asarray(colours + change * np.minimum(colours / (mean + 1), 1), np.float32)
