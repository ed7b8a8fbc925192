"""Where the generator's crop lies in the target's region."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import TEMPLATES, inverse, paste_back, similarity
from reliableswap.geometry.regions import window
from reliableswap.swap.job import FaceJob

ENOUGH = 0.75  # crop pixels for one photo pixel from which on a crop holds all that the photo shows

Window = tuple[slice, slice]


def holds_all(job: FaceJob) -> bool:
    """Whether the crop is as fine as the photo."""
    return job.target.crop_scale(crop_size(job), template(job)) >= ENOUGH


def crop_size(job: FaceJob) -> int:
    """The crop's side: the smallest of the generator's sizes that holds all the photo shows, or its largest."""
    generator = job.networks.generator
    sizes = sorted([generator.size] if generator.size else generator.config.get("sizes", [128]))
    return next((s for s in sizes if job.target.crop_scale(s, template(job)) >= ENOUGH), sizes[-1])


def template(job: FaceJob) -> str:
    """The name of the generator's crop template."""
    return str(job.networks.generator.config["template"])


def crop_matrix(job: FaceJob) -> np.ndarray:
    """(2,3) from the target's region to the crop."""
    return similarity(job.target.face.points5, TEMPLATES[template(job)].at(crop_size(job)))


def crop_window(job: FaceJob) -> Window:
    """Rows and columns of the region that the crop reaches."""
    size = crop_size(job)
    corners = np.array([[[0, 0], [size, 0], [0, size], [size, size]]], np.float64) - 0.5
    return window(cv2.transform(corners, inverse(crop_matrix(job)))[0], job.target.shape, 1)


def enlarged(job: FaceJob, crop: np.ndarray) -> np.ndarray:
    """(h,w) or (h,w,3) a picture of the crop's size, laid where the crop came from, in the crop's window."""
    rows, columns = crop_window(job)
    matrix = crop_matrix(job)
    matrix[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
    return paste_back(crop, matrix, (rows.stop - rows.start, columns.stop - columns.start))


def face_in_crop_window(job: FaceJob) -> Window:
    """Rows and columns of the crop's window that hold the face's mesh and a tenth of its width around."""
    rows, columns = crop_window(job)
    face = window(job.goal, job.target.shape, 0.1 * job.width)
    return _within(face[0], rows), _within(face[1], columns)


def in_region(job: FaceJob, piece: Window) -> Window:
    """A piece of the crop's window as rows and columns of the region."""
    rows, columns = crop_window(job)
    return _shifted(piece[0], rows.start), _shifted(piece[1], columns.start)


def _within(inner: slice, outer: slice) -> slice:
    start, stop = max(inner.start, outer.start), min(inner.stop, outer.stop)
    return slice(start - outer.start, max(stop, start) - outer.start)


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
