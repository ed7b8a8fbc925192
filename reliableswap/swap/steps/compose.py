"""Lay the generated crop over the reshaped photo, with the photo's fine detail and grain."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import paste_back
from reliableswap.geometry.regions import face_width, window
from reliableswap.geometry.shape import origins
from reliableswap.imaging.bands import three_channels
from reliableswap.imaging.grain import match_detail
from reliableswap.swap.job import FaceJob

from .generate import crop_matrix


def compose(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the generated face in the photo."""
    reshaped, alpha = job.layer("reshaped"), job.layer("alpha")
    face = paste_back(job.layer("generated"), crop_matrix(job), job.target.shape)
    if "fine" in job.layers:
        face += job.layer("fine")
    piece = window(job.goal, job.target.shape, 0.1 * face_width(job.goal))
    face[piece] += three_channels(_missing_grain(job, face[piece], piece))
    under = reshaped.astype(np.float32)
    pasted = np.clip(np.rint(under + three_channels(alpha) * (face - under)), 0, 255).astype(np.uint8)
    mask = np.maximum(job.moved, alpha)
    image = cv2.copyTo(pasted, (mask > 0).astype(np.uint8), job.target.pixels.copy())
    return job.with_layers(image=image, mask=mask)


def _missing_grain(job: FaceJob, face: np.ndarray, piece: tuple[slice, slice]) -> np.ndarray:
    """(h,w) the lightness to add to a piece of the generated face: networks draw skin smoother than the photo."""
    light, reference = (
        cv2.cvtColor(np.ascontiguousarray(p, np.float32), cv2.COLOR_RGB2GRAY)
        for p in (face, job.layer("reshaped")[piece])
    )
    inside = job.layer("alpha")[piece] > 0.9
    _, bare = job.target.covers.at(origins(job.move, piece))
    width = face_width(job.goal)
    return (
        match_detail(light, reference, inside, bare, width, job.settings.detail, equal=1.0, least=1) - light
    )
