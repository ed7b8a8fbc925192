"""Keep the low contrast of a picture such as a relief, a faded print or a wash drawing.

A face brings along the contrast of its own photo, such as dark brows and eyes. Between photos it differs little.
"""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.geometry import regions
from reliableswap.swap.job import FaceJob

_MAX_RATIO = 1.25  # ratio of two faces' contrasts up to which nothing changes; photos had 0.8 to 1.15
_LOCAL = 0.15  # face widths; slower changes of brightness are light, which is the target's already
_WIDTH = 128.0  # pixels of the face's width at which contrast is measured


def contrast(job: FaceJob) -> FaceJob:
    """Layer `image`: its face with at most `_MAX_RATIO` times the contrast of the target's."""
    where = regions.window(job.goal, job.target.shape, 0)
    made, own = (_grey(layer[where]) for layer in (job.image, job.layer("reshaped")))
    corner = np.array([where[1].start, where[0].start, 0], np.float32)
    k = min(1.0, _WIDTH / job.width)
    size = max(8, round(k * made.shape[1])), max(8, round(k * made.shape[0]))
    small, small_own = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (made, own))
    face = regions.oval((job.goal - corner) * np.float32(k), size[::-1])
    face = regions.eroded(face, 0.05 * k * job.width)
    if not face.any():
        return job
    sigma = _LOCAL * k * job.width
    means, own_means = (_local(one, face, sigma) for one in (small, small_own))
    inside = face > 0
    ratio = float((small - means)[inside].std() / max(float((small_own - own_means)[inside].std()), 1e-3))
    if ratio <= _MAX_RATIO:
        return job
    soft = regions.feathered(face, 0.03 * k * job.width)
    means, soft = (cv2.resize(one, made.shape[::-1], interpolation=cv2.INTER_LINEAR) for one in (means, soft))
    change = (_MAX_RATIO / ratio - 1) * (made - means) * soft * job.mask[where]
    image = job.image.copy()
    image[where] = np.clip(np.rint(image[where] + change[..., None]), 0, 255).astype(np.uint8)
    return job.with_layers(image=image)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)


def _local(plane: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """(H,W) the plane's weighted local means, computed on a reduced copy because they are smooth."""
    height, width = plane.shape
    k = max(1.0, sigma / 4)
    size = max(2, round(width / k)), max(2, round(height / k))
    both = cv2.resize(cv2.merge([plane * weight, weight]), size, interpolation=cv2.INTER_AREA)
    light, total = cv2.split(cv2.GaussianBlur(both, (0, 0), sigma / k))
    return cv2.resize((light + 1e-3 * float(plane.mean())) / (total + 1e-3), (width, height))
