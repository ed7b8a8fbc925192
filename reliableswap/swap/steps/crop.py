"""Where the generator's crop lies in the target's region."""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry.regions import window
from reliableswap.geometry.resampling import sharp
from reliableswap.swap.job import FaceJob
from reliableswap.swap.place import Window


def enlarged(job: FaceJob, crop: np.ndarray) -> np.ndarray:
    """(h,w) or (h,w,3) a picture of the crop's size, laid where the crop came from, in the crop's window."""
    place = job.crop
    rows, columns = place.window
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return cv2.warpAffine(
        crop, place.back, size, flags=sharp(crop.shape, job.quick) if crop.ndim == 3 else cv2.INTER_LINEAR
    )


def face_in_crop_window(job: FaceJob) -> Window:
    """Rows and columns of the crop's window that hold the face's mesh and a tenth of its width around."""
    rows, columns = job.crop.window
    face = window(job.goal, job.target.shape, 0.1 * job.width)
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
