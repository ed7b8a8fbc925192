"""Blend the rebuilt face into the photo as Naruniec et al. (2020) do.

The two coarsest levels of the Laplacian pyramid stay the target's, which keeps its light and tone and shows no seam,
however much the decoder's light differs. The finer levels come from the rebuilt face. They suit its brightness and
would be too strong on a darker target and too weak on a brighter one, so they are scaled with the brightness.
"""

from __future__ import annotations

import cv2
import numpy as np

from reliableswap.faces.align import inverse
from reliableswap.geometry import regions
from reliableswap.geometry.regions import window
from reliableswap.imaging.bands import (
    bands_for,
    collapse,
    gaussian_pyramid,
    laplacian_pyramid,
    three_channels,
)
from reliableswap.swap.job import COARSE_REACH, FaceJob

from .rebuild import rebuilt_matrix

_COARSEST = 4  # pixels of the crop's side at the coarsest level
_KEPT = 2  # levels that stay the target's
_GAINS = (0.5, 2.0)  # of the finer levels
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def merge(job: FaceJob) -> FaceJob:
    """Layers `image` and `mask`: the rebuilt face in the photo."""
    place = _Place(job)
    under = job.layer("reshaped")[place.window].astype(np.float32)
    over = extended(place.enlarged(job.layer("rebuilt")), place.known)
    made = blend(over, under, place.alpha, place.bands)
    # Middle levels reach beyond the mask; allow that over a short distance, but not onto what covers the face.
    reach = np.clip(4 * regions.feathered(place.alpha, COARSE_REACH / 2.5 * job.width), 0, 1) * place.open
    mask = np.where(reach < 1 / 64, 0, np.clip(np.maximum(reach, place.alpha), 0, 1)).astype(np.float32)
    made = under + three_channels(mask) * (made - under)
    image, changed = job.layer("reshaped").copy(), job.moved.copy()
    image[place.window] = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    changed[place.window] = np.maximum(changed[place.window], mask)
    image = cv2.copyTo(job.target.pixels, (changed == 0).astype(np.uint8), image)
    return job.with_layers(image=image, mask=changed)


def blend(over: np.ndarray, under: np.ndarray, alpha: np.ndarray, bands: int) -> np.ndarray:
    """(H,W,3) float32 `under` with the finer levels of `over` where alpha (H,W) is one; bands: the pyramid's.

    Computed as under + alpha * difference, so that an empty alpha returns `under` bit for bit.
    """
    bands = bands_for(alpha.shape, bands)
    fine = bands + 1 - _KEPT
    if fine < 1:
        return under.copy()
    ours, theirs = laplacian_pyramid(over, bands), laplacian_pyramid(under, bands)
    gain = _brightness(theirs) / np.maximum(_brightness(ours), 1.0)
    gain = np.clip(gain, *_GAINS)
    difference = []
    for level in range(fine):
        sized = cv2.resize(gain, ours[level].shape[1::-1], interpolation=cv2.INTER_LINEAR)
        difference.append(three_channels(sized) * ours[level] - theirs[level])
    difference += [np.zeros_like(level) for level in ours[fine:]]
    masks = gaussian_pyramid(alpha, bands)
    return under + collapse([d * three_channels(m) for d, m in zip(difference, masks, strict=True)])


def extended(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(H,W,3) float32 the picture where `known` (H,W) is one, smoothly continued where it is zero.

    What a decoder draws beside the face is untrained, and an edge to anything else would show in all levels.
    """
    if min(known.shape) <= _COARSEST:
        weight = known[..., None] / max(float(known.sum()), 1e-6)
        return np.full_like(picture, (picture * weight).sum((0, 1)))
    weight = cv2.pyrDown(known)
    coarse = cv2.pyrDown(picture * three_channels(known)) / three_channels(np.maximum(weight, 1e-6))
    filled = extended(coarse, np.minimum(4 * weight, 1))
    beside = cv2.pyrUp(filled, dstsize=picture.shape[1::-1])
    return np.asarray(beside + three_channels(known) * (picture - beside), np.float32)


def _brightness(pyramid: list[np.ndarray]) -> np.ndarray:
    """(h,w) float32 the brightness of the coarsest levels, those that stay the target's."""
    return np.asarray(collapse(pyramid[-_KEPT:]) @ _LUMA, np.float32)


class _Place:
    """Where the rebuilt crop lies in the region, and how opaque it is there.

    window: rows and columns. bands: the pyramid's. known (h,w): where the decoder was trained. open
    (h,w): where nothing covers the face. alpha (h,w).
    """

    def __init__(self, job: FaceJob) -> None:
        side, matrix = job.layer("rebuilt").shape[0], rebuilt_matrix(job)
        self.back = inverse(matrix)
        corners = np.array([[[0, 0], [side, 0], [0, side], [side, side]]], np.float64) - 0.5
        self.window = window(cv2.transform(corners, self.back)[0], job.target.shape, 1)
        rows, columns = self.window
        self.back[:, 2] -= columns.start, rows.start
        self.shape = rows.stop - rows.start, columns.stop - columns.start
        pixels = side / float(np.hypot(matrix[0, 0], matrix[1, 0]))
        self.bands = max(1, round(np.log2(max(pixels / _COARSEST, 2))))
        mesh = job.goal - np.array([columns.start, rows.start, 0], np.float32)
        oval = regions.oval(mesh, self.shape)
        margin, feather = (length * job.width for length in (job.settings.margin, job.settings.feather))
        self.known = regions.feathered(oval, feather) * self._inside(side)
        self.open = 1 - job.foreground_mask(self.window)
        inside = regions.feathered(regions.eroded(oval, margin + feather), feather)
        self.alpha = (inside * self._inside(side) * self.open * job.settings.likeness).astype(np.float32)

    def enlarged(self, crop: np.ndarray) -> np.ndarray:
        """(S,S,3) float32 -> (h,w,3), laid where the crop came from."""
        flags, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(crop, self.back, self.shape[::-1], flags=flags, borderMode=border))

    def _inside(self, side: int) -> np.ndarray:
        """(h,w) one inside the crop, falling to zero at its edge."""
        square = np.zeros((side, side), np.float32)
        edge = max(1, side // 32)
        square[edge:-edge, edge:-edge] = 1
        return np.asarray(cv2.warpAffine(square, self.back, self.shape[::-1], flags=cv2.INTER_LINEAR))
