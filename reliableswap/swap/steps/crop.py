"""Where the generator's crop lies in the target's region."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.regions import window
from reliableswap.geometry.resampling import interpolation_for
from reliableswap.swap.job import NEAR, FaceJob
from reliableswap.swap.place import Window


def enlarged(
    job: FaceJob, crop: np.ndarray, piece: Window | None = None, method: int | None = None
) -> np.ndarray:
    """(h,w) or (h,w,3) a picture of the crop, of any size, warped back into the crop's window or a piece of it.

    method: OpenCV's interpolation; None: bilinear for planes, `interpolation_for` for pictures.
    """
    rows, columns = piece or whole(job)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    back = job.crop.back - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    if crop.shape[0] != job.crop.size:
        k = job.crop.size / crop.shape[0]
        back = back @ np.array([[k, 0, 0.5 * k - 0.5], [0, k, 0.5 * k - 0.5], [0, 0, 1]])
    if method is None:
        method = interpolation_for(crop.shape, job.quick) if crop.ndim == 3 else cv2.INTER_LINEAR
    return cv2.warpAffine(crop, back, size, flags=method)


def whole(job: FaceJob) -> Window:
    """The crop's window as a piece of itself."""
    rows, columns = job.crop.window
    return slice(0, rows.stop - rows.start), slice(0, columns.stop - columns.start)


def face_in_crop_window(job: FaceJob) -> Window:
    """Rows and columns of the crop's window that hold the face's mesh and some of its surroundings."""
    rows, columns = job.crop.window
    face = window(job.goal, job.target.shape, NEAR * job.width)
    return _within(face[0], rows), _within(face[1], columns)


def in_region(job: FaceJob, piece: Window) -> Window:
    """A piece of the crop's window as rows and columns of the region."""
    rows, columns = job.crop.window
    return _shifted(piece[0], rows.start), _shifted(piece[1], columns.start)


def _within(inner: slice, outer: slice) -> slice:
    start, stop = max(inner.start, outer.start), min(inner.stop, outer.stop)
    return slice(start - outer.start, max(stop, start) - outer.start)


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
