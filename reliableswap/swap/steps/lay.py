"""Lay what the generator made over the photo, at the photo's own size."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import apply, inverse
from reliableswap.geometry.raster import rasterise
from reliableswap.geometry.warp import open_lips, reenact
from reliableswap.imaging.bands import three_channels
from reliableswap.swap.job import FaceJob
from reliableswap.swap.place import Window

from .crop import enlarged, face_in_crop_window, in_region, whole

_SETTLED = 2  # rounds in which a point is found that a flow moves to a given place


def lay(job: FaceJob) -> FaceJob:
    """Layer of a piece of the crop's window: `face` (h,w,3) float32, the made face where it is opaque.

    A picture of the crop is enlarged, with the blend's fine detail. Of a layered generator's mixture only what is
    smooth is enlarged: the source's photo is read once, and the target's as it stands.
    """
    piece = laid(job)
    if "generated" in job.layers:
        face = enlarged(job, job.layer("generated"), piece)
        if "fine" in job.layers:
            face += job.layer("fine")[piece]
        return job.with_layers(face=face)
    under = job.layer("reshaped")[in_region(job, piece)].astype(np.float32)
    face = _texture(job, piece, under)
    face *= three_channels(enlarged(job, job.layer("of_texture"), piece))
    under *= three_channels(enlarged(job, job.layer("of_target"), piece))
    face += under
    face += enlarged(job, job.layer("rest"), piece, cv2.INTER_LINEAR)
    return job.with_layers(face=face)


def laid(job: FaceJob) -> Window:
    """The piece of the crop's window in which a face is laid: a large layered one ends inside its outline."""
    return face_in_crop_window(job) if job.is_large else whole(job)


def _texture(job: FaceJob, piece: Window, under: np.ndarray) -> np.ndarray:
    """(h,w,3) float32 the source's texture in a piece of the crop's window, and what is under it beside the mesh."""
    where, source, place = in_region(job, piece), job.source, job.crop
    goal = _moved_against(job.layer("flow"), job)
    goal = goal - np.array([where[1].start, where[0].start, 0], np.float32)
    covers = source.covers_in_crop(place.size, place.template)
    matrix = source.crop_matrix(place.size, place.template)
    texture = reenact(
        source.copies,
        open_lips(source.mesh, job.goal),
        goal,
        rasterise(goal, under.shape[:2]),
        lambda positions: covers.at(cv2.transform(positions, matrix)),
        job.quick,
    )
    return np.where(texture.raster.covered[..., None], texture.image, under).astype(np.float32)


def _moved_against(flow: np.ndarray, job: FaceJob) -> np.ndarray:
    """(468,3) the goal mesh, each point where the texture is read that lies at the point itself.

    flow: (2,128,128) as the mixture's.
    """
    matrix, side = job.crop.matrix, flow.shape[-1]
    reach = np.float32(job.crop.size / 2)
    crop_points = apply(matrix, job.goal[:, :2])
    step = np.zeros_like(crop_points)
    for _ in range(_SETTLED):
        at = (crop_points - step + np.float32(0.5)) * np.float32(side / job.crop.size) - np.float32(0.5)
        step = reach * np.column_stack(
            [
                cv2.remap(plane, at[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
                for plane in flow
            ]
        )
    moved = job.goal.copy()
    moved[:, :2] -= step @ inverse(matrix)[:, :2].T.astype(np.float32)
    return moved
