"""Lay the generated crop over the reshaped photo, with the photo's fine detail and grain."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.regions import face_width
from reliableswap.geometry.shape import origins
from reliableswap.imaging.bands import three_channels
from reliableswap.imaging.grain import match_detail
from reliableswap.swap.job import FaceJob
from reliableswap.swap.place import Window

from .crop import enlarged, face_in_crop_window, in_region


def compose(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the generated face in the photo."""
    where, alpha = job.crop.window, job.layer("alpha")
    face = enlarged(job, job.layer("generated"))
    if "fine" in job.layers:
        face += job.layer("fine")
    piece = face_in_crop_window(job)
    face[piece] += three_channels(_missing_grain(job, face[piece], piece))
    under = job.layer("reshaped")[where].astype(np.float32)
    face -= under
    face *= three_channels(alpha)
    face += under
    image, mask = job.layer("reshaped").copy(), job.moved.copy()
    image[where] = np.clip(np.rint(face), 0, 255).astype(np.uint8)
    mask[where] = np.maximum(mask[where], alpha)
    image = cv2.copyTo(job.target.pixels, (mask == 0).astype(np.uint8), image)
    return job.with_layers(image=image, mask=mask)


def _missing_grain(job: FaceJob, face: np.ndarray, piece: Window) -> np.ndarray:
    """(h,w) the lightness to add to a piece of the generated face: networks draw skin smoother than the photo."""
    there = in_region(job, piece)
    light, reference = (
        cv2.cvtColor(np.ascontiguousarray(p, np.float32), cv2.COLOR_RGB2GRAY)
        for p in (face, job.layer("reshaped")[there])
    )
    inside = job.layer("alpha")[piece] > 0.9
    _, bare = job.target.covers.at(origins(job.move, there))
    strength, width = job.settings.detail, face_width(job.goal)
    return match_detail(light, reference, inside, bare, width, strength, equal=1.0, least=1) - light
